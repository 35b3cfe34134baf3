import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type Governance, NO_GOVERNANCE } from '../../src/core/governance.ts';
import { NETWORK_STATUS_ANNOTATIONS, RUNTIME_ANNOTATIONS } from '../../src/core/known-names.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { makeProfile } from '../../src/core/profiles/profile.ts';

import { type Manifest, type PoliciesConfig, policies } from '../../src/manifests/policies.ts';

/** test/api-server/label-integrity.test.ts tests the policies on a real API server. */

const TARGET = { service: { namespace: 'cloister-system', name: 'cloister' } };
const CONFIG: PoliciesConfig = {
  profiles: new Map(backends.slice(0, 2).map((backend) => [backend.id, makeProfile(backend.id, backend, {})])),
  governance: { byName: [{ namespaces: ['monitoring', 'ingress-*'], profiles: {} }], otherwise: { enforce: 'userns' } },
  guard: true,
  backstop: true,
};

const named = (name: string, kind = 'ValidatingAdmissionPolicy', config = CONFIG): Manifest => {
  const found = policies(config, TARGET).find((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
};

test('the policies are those of the golden file', async () => {
  const text = policies(CONFIG, TARGET).map((each) => stringify(each, { aliasDuplicateObjects: false, lineWidth: 0 }));
  await expect(text.join('---\n')).toMatchFileSnapshot('../golden/manifests/policies.yaml');
});

const variableOf = (policy: Manifest, variable: string): string | undefined => {
  const { variables } = policy.spec as { readonly variables: readonly { readonly name: string; readonly expression: string }[] };
  return variables.find(({ name }) => name === variable)?.expression;
};
const enforcedByName = (governance: Governance): string | undefined =>
  variableOf(named('cloister-pods', 'ValidatingAdmissionPolicy', { ...CONFIG, governance }), 'enforcedByName');

test('T75: the policy for pods knows the namespaces that the configuration enforces by name, and those that it never governs', () => {
  const system = "request.namespace.matches('^(cloister-system|kube-node-lease|kube-system)$') ? false :\n";
  expect(enforcedByName(CONFIG.governance)).toBe(`${system}request.namespace.matches('^(monitoring|ingress-.*)$') ? false :\ntrue`);
  const watched = { byName: [{ namespaces: ['*-che'], profiles: { warn: 'userns' } }], otherwise: { audit: 'userns' } };
  expect(enforcedByName(watched)).toBe('false');
  expect(enforcedByName(NO_GOVERNANCE)).toBe('false');
});

test('T76: the policy for namespaces lists the configured profiles', () => {
  expect(variableOf(named('cloister-namespace-labels'), 'profiles')).toBe("['userns', 'sysbox']");
  const none = named('cloister-namespace-labels', 'ValidatingAdmissionPolicy', { ...CONFIG, profiles: new Map() });
  expect(variableOf(none, 'profiles')).toBe('[]');
});

test('the policy that only advises never rejects a request, and is not evaluated for new namespaces', () => {
  const { spec } = named('cloister-namespace-advice');
  expect(spec).toMatchObject({ failurePolicy: 'Ignore', matchConstraints: { resourceRules: [{ operations: ['UPDATE'] }] } });
  expect(named('cloister-namespace-advice', 'ValidatingAdmissionPolicyBinding').spec).toMatchObject({ validationActions: ['Warn'] });
});

test.each(['cloister-namespace-labels', 'cloister-pods'])(
  'T04: the policy %s fails closed, applies to every namespace, and has a binding',
  (name) => {
    const { spec } = named(name);
    expect(spec).toMatchObject({ failurePolicy: 'Fail' });
    expect(Object.keys((spec as { matchConstraints: object }).matchConstraints)).toEqual(['matchPolicy', 'resourceRules']);
    expect(named(name, 'ValidatingAdmissionPolicyBinding').spec).toEqual({ policyName: name, validationActions: ['Deny'] });
  },
);

test('T03: the policy matches every request that can write the metadata of a namespace', () => {
  expect(named('cloister-namespace-labels').spec).toMatchObject({
    matchConstraints: {
      resourceRules: [{ operations: ['CREATE', 'UPDATE'], resources: ['namespaces', 'namespaces/status', 'namespaces/finalize'] }],
    },
  });
});

test('T17: the policy has every runtime annotation of the rule', () => {
  const instructions = variableOf(named('cloister-pods'), 'instructions');
  const { names, prefixes, domains } = RUNTIME_ANNOTATIONS;
  for (const each of [...names, ...prefixes, ...domains]) expect(instructions).toContain(`'${each}'`);
});

test('no entry of a list can end a CEL string early', () => {
  for (const { names, prefixes, domains } of [RUNTIME_ANNOTATIONS, NETWORK_STATUS_ANNOTATIONS])
    for (const each of [...names, ...prefixes, ...domains]) expect(each).toMatch(/^[-\w./]+$/);
});

test.each([
  ['cloister-namespace-labels', ['labels']],
  ['cloister-namespace-advice', ['labels']],
  ['cloister-pods', ['labels', 'annotations']],
] as const)('the policy %s is evaluated only where a map that it restricts changes, however many keys the object has', (name, maps) => {
  const { matchConditions } = named(name).spec as { readonly matchConditions: readonly { readonly expression: string }[] };
  const changes = maps.map(
    (map) => `object.metadata.?${map}.orValue({}) != (oldObject == null ? {} : oldObject.metadata.?${map}.orValue({}))`,
  );
  expect(matchConditions.map(({ expression }) => expression)).toEqual([changes.join(' ||\n')]);
});
