import fc from 'fast-check';
import { expect, test } from 'vitest';
import { apply } from '../../src/apply-patch.ts';
import { makeRespond, type Respond } from '../../src/webhook/review/respond.ts';
import {
  bytesOf,
  configOf,
  containerStroke,
  copyOf,
  type Doc,
  hostilePod,
  NOW,
  paint,
  type ReviewOf,
  reviewOf,
  type Setting,
  type Stroke,
  setting,
  stroke,
} from '../support/hostile-pods.ts';
import { list, map, wrongsOf, wrongsOfContainer } from '../support/oracle.ts';
import { check } from '../support/properties.ts';
import { applyPatch } from '../support/rfc6902.ts';

const cases = fc.tuple(hostilePod, setting);

test('validate admits every pod that mutate patched, and denies with a cause every pod that mutate did not patch', () => {
  check(0.08, cases, ([pod, given]) => {
    const respond = respondFor(given);
    const { answer, patched } = mutate(respond, pod);
    const verdict = validate(respond, patched ?? pod);
    if (patched !== undefined) return expect(verdict.allowed, messageOf(verdict)).toBe(true);
    expect(answer.allowed).toBe(true);
    if (!verdict.allowed) return expect(causesOf(verdict).length).toBeGreaterThan(0);
    // A pod without a patch is allowed only if it needed none, the annotation included.
    expect(map(map(pod.metadata).annotations)['cloister.dev/profile-applied']).toMatch(/^(own|other)\//);
  });
});

test('T02, T13: no pod with a violation is admitted, even if it is changed after the repair', () => {
  check(0.12, fc.tuple(hostilePod, setting, fc.array(stroke, { maxLength: 3 })), ([pod, given, changes]) => {
    const respond = respondFor(given);
    const final = changes.reduce(paint, mutate(respond, pod).patched ?? pod);
    if (validate(respond, final).allowed) expect(wrongsOf(final, given)).toEqual([]);
  });
});

/** What a tenant may write freely: labels, annotations, names. The grant label may ask for a smaller grant. */
const tenantData: fc.Arbitrary<Stroke> = fc.oneof(
  fc.record({
    at: fc
      .constantFrom('cloister.dev/enforce', 'cloister.dev/exempt', 'cloister.dev/profile', 'team', 'privileged', '__proto__')
      .map((key) => ['metadata', 'labels', key]),
    value: fc.constantFrom('own', 'other', 'true', ''),
  }),
  fc.record({
    at: fc
      .constantFrom(
        ...['cloister.dev/profile-applied', 'cloister.dev/exempt', 'kubernetes.io/config.mirror', 'openshift.io/scc', 'constructor'],
        ...[
          'container.apparmor.security.beta.kubernetes.io/dev',
          'io.kubernetes.cri-o.userns-mode',
          'seccomp.security.alpha.kubernetes.io/pod',
        ],
      )
      .map((key) => ['metadata', 'annotations', key]),
    value: fc.constantFrom('own/containers', 'true', 'runtime/default', 'localhost/cloister-workspace', 'auto:size=65536', 'privileged'),
  }),
  fc.record({
    at: fc.constantFrom(['metadata', 'name'], ['metadata', 'generateName'], ['metadata', 'namespace'], ['metadata', 'ownerReferences']),
    value: fc.constantFrom<unknown>('kube-proxy', 'kube-system', '', null),
  }),
);

test('T06: no label, annotation or name of a tenant turns a denial into an admission', () => {
  check(0.08, fc.tuple(hostilePod, setting, stroke, tenantData), ([pod, given, change, data]) => {
    const respond = respondFor(given);
    const denied = paint(mutate(respond, pod).patched ?? pod, change);
    const before = validate(respond, denied);
    if (before.allowed) return;
    const after = validate(respond, paint(denied, data));
    if (after.allowed) expect(causesOf(before).map(({ field }) => lastStep(String(field)))).toContain(String(data.at.at(-1)));
  });
});

test('T09: labels, annotations and finalizers of a running pod can change, whatever its findings', () => {
  const changes = fc.constantFrom<Stroke>(
    { at: ['metadata', 'labels', 'team'], value: 'b' },
    { at: ['metadata', 'annotations', 'note'], value: 'x' },
    { at: ['metadata', 'finalizers'], value: ['example.com/wait'] },
    { at: ['metadata', 'deletionTimestamp'], value: '2026-11-21T10:00:00Z' },
  );
  check(0.04, fc.tuple(hostilePod, setting, changes), ([old, given, change]) => {
    const respond = respondFor(given);
    const verdict = validate(respond, paint(old, change), { operation: 'UPDATE', old });
    expect(verdict.allowed, messageOf(verdict)).toBe(true);
  });
});

/** Changes after which a pod runs something that it did not run before, as the API server lets an update make them. */
const effects: Readonly<Record<string, (pod: Doc) => Doc>> = {
  'another image': (pod) => paint(pod, { at: ['spec', 'containers', 0, 'image'], value: 'registry.example.com/other' }),
  'another image of an init container': (pod) =>
    paint(pod, { at: ['spec', 'initContainers', 0, 'image'], value: 'registry.example.com/other' }),
  'a start': (pod) => paint(pod, { at: ['spec', 'schedulingGates'], value: [] }),
};

test.each(Object.entries(effects))(
  'T09: an update that gives a pod %s is admitted only if nothing is wrong with the whole pod',
  (_, effect) => {
    check(0.04, fc.tuple(hostilePod, setting, fc.boolean()), ([pod, given, isNew]) => {
      const respond = respondFor(given);
      const stored = isNew ? (mutate(respond, pod).patched ?? pod) : pod;
      const old = paint(paint(stored, { at: ['spec', 'schedulingGates'], value: [{ name: 'a/wait' }] }), {
        at: ['spec', 'nodeName'],
        value: '',
      });
      const updated = effect(old);
      if (list(map(old.spec).initContainers).length === 0 && JSON.stringify(updated) === JSON.stringify(old)) return;
      const verdict = validate(respond, updated, { operation: 'UPDATE', old });
      const { allowed } = validate(respond, updated);
      expect(verdict.allowed, messageOf(verdict)).toBe(allowed);
      if (verdict.allowed) expect(wrongsOf(updated, given)).toEqual([]);
    });
  },
);

/** What an old pod may have for all its containers, those added later included. */
const inherited = [
  { windowsOptions: { hostProcess: true } },
  { appArmorProfile: { type: 'Unconfined' } },
  { seLinuxOptions: { type: 'spc_t' } },
  { seccompProfile: { type: 'Unconfined' } },
  { runAsUser: 65536 },
].map((securityContext): [Doc, Setting, Stroke[], boolean] => [
  { metadata: { name: 'old' }, spec: { hostUsers: false, securityContext, containers: [{ name: 'dev' }] } },
  { backend: 'userns', grant: 'none' },
  [],
  false,
]);

test('T10: an ephemeral container is admitted only within baseline, whatever pod it is added to', () => {
  check(
    0.08,
    fc.tuple(hostilePod, setting, fc.array(containerStroke, { maxLength: 4 }), fc.boolean()),
    ([pod, given, strokes, isNew]) => {
      const respond = respondFor(given);
      const old = isNew ? (mutate(respond, pod).patched ?? pod) : pod;
      const added = strokes.reduce(paint, { name: 'dev-shell', image: 'busybox' } as Doc);
      const asked = copyOf(old);
      const spec = map(asked.spec);
      spec.ephemeralContainers = [...list(spec.ephemeralContainers), added];

      const update = { operation: 'UPDATE', old, subresource: 'ephemeralcontainers' };
      const { patched } = mutate(respond, asked, update);
      const final = patched ?? asked;
      const others = (each: Doc): unknown => ({
        ...each,
        spec: { ...map(each.spec), ephemeralContainers: list(map(each.spec).ephemeralContainers).slice(0, -1) },
      });
      expect(others(final), 'only what was added is patched').toEqual(others(asked));
      const verdict = validate(respond, final, update);
      if (patched !== undefined) expect(verdict.allowed, messageOf(verdict)).toBe(true);
      const container = map(list(map(final.spec).ephemeralContainers).at(-1));
      if (verdict.allowed) expect(wrongsOfContainer(container, 'ephemeralContainers', final, given)).toEqual([]);
    },
    inherited,
  );
});

function respondFor(given: Setting): Respond {
  return makeRespond(configOf(given), { apply, now: () => NOW });
}

function mutate(respond: Respond, pod: Doc, review?: ReviewOf): { readonly answer: Doc; readonly patched?: Doc } {
  const answer = ask(respond, '/mutate/own', pod, review);
  if (answer.patch === undefined) return { answer };
  expect(answer.patchType).toBe('JSONPatch');
  const patch = JSON.parse(Buffer.from(String(answer.patch), 'base64').toString()) as unknown[];
  return { answer, patched: applyPatch(pod, patch) as Doc };
}

const validate = (respond: Respond, pod: Doc, review?: ReviewOf): Doc => ask(respond, '/validate/enforce/own', pod, review);

function ask(respond: Respond, path: string, pod: Doc, review?: ReviewOf): Doc {
  const { status, body } = respond(path, bytesOf(reviewOf(pod, review)));
  expect(status).toBe(200);
  return map(map(JSON.parse(body)).response);
}

const messageOf = (answer: Doc): string => String(map(answer.status).message);
const causesOf = (answer: Doc): Doc[] => list(map(map(answer.status).details).causes).map(map);

/** `note` of `metadata.annotations["note"]`, `name` of `metadata.name`. */
function lastStep(field: string): string {
  const quoted = /\["((?:[^"\\]|\\.)*)"\]$/.exec(field)?.[1];
  return quoted ?? field.split('.').at(-1) ?? '';
}
