import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { apply } from '../../../src/apply-patch.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { backends } from '../../../src/core/profiles/index.ts';
import { GRANTS } from '../../../src/core/requirements.ts';
import { makeRespond } from '../../../src/webhook/review/respond.ts';
import { copyOf, type Doc, reviewOf } from '../../support/hostile-pods.ts';
import { list, map } from '../../support/oracle.ts';
import { dockerInDocker, hostNamespaces, hostPath, plainPod, sidecars } from '../../support/pod-manifests.ts';
import { hostilePod, refusedPod, talkativePod } from '../../support/pods.ts';
import { applyPatch } from '../../support/rfc6902.ts';

/**
 * The decisions about a fixed set of pods, line by line: they show a version that decides differently before it runs beside an old one in a
 * rollout. Decisions only: texts may change. A changed line needs a reason, and a line in the changelog.
 */

const documentOf = ({ metadata = {}, ...spec }: Readonly<Record<string, unknown>>): Doc => ({ metadata: map(metadata), spec });

const corpus: Readonly<Record<string, object>> = {
  plain: plainPod(),
  'docker-in-docker': dockerInDocker(),
  'host-path': hostPath(),
  'host-namespaces': hostNamespaces(),
  sidecars: sidecars(),
  'class of another': plainPod('class', { runtimeClassName: 'foreign', overhead: { cpu: '10m' } }),
  'asks for less': { ...plainPod(), metadata: { name: 'less', labels: { 'cloister.dev/grant': 'none' } } },
  'asks for more': { ...plainPod(), metadata: { name: 'more', labels: { 'cloister.dev/grant': 'root' } } },
  'everything that has a repair': documentOf(hostilePod),
  'everything that has none': documentOf(refusedPod('x')),
  'odd values': documentOf(talkativePod('x')),
  'no pod': { spec: { containers: {} } },
};

const GATED = { schedulingGates: [{ name: 'example.com/wait' }] };

function withImage(image: string): object {
  const pod = dockerInDocker();
  return { ...pod, spec: { ...pod.spec, containers: pod.spec.containers.map((each) => ({ ...each, image })) } };
}

const profiles = backends.flatMap(({ id }) => GRANTS.map((grant) => [`${id}-${grant}`, { extends: id, grant }] as const));
const config = parseConfig(
  stringify({ apiVersion: 'cloister.dev/v1alpha1', kind: 'Config', profiles: Object.fromEntries(profiles) }),
  'config.yaml',
);
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date('2026-11-21T10:00:00Z') });

type Review = Parameters<typeof reviewOf>[1];

const ask = (path: string, pod: object, review?: Review): Doc =>
  map(map(JSON.parse(respond(path, Buffer.from(JSON.stringify(reviewOf(pod, review)))).body)).response);

const digest = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12);

/** The order of operations and that of keys are no decisions. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort()
      .map(([key, each]) => [key, sorted(each)]),
  );
}

function decisionsOn(profile: string, pod: object, review?: Review): string {
  const { patch } = ask(`/mutate/${profile}`, pod, review);
  const operations = patch === undefined ? [] : (JSON.parse(Buffer.from(String(patch), 'base64').toString()) as Doc[]);
  const repaired = applyPatch(copyOf(pod), operations) as object;
  const patched = operations.length === 0 ? 'unpatched' : `patched (${digest(sorted(repaired))})`;
  return `${patched}, then ${verdictOn(ask(`/validate/enforce/${profile}`, repaired, review))}`;
}

function verdictOn({ allowed, status }: Doc): string {
  if (allowed === true) return 'allowed';
  const causes = list(map(map(status).details).causes).map((each) => [map(each).reason, map(each).field]);
  const rules = [...new Set(causes.map(([rule]) => rule))];
  return rules.length === 0 ? `refused with ${map(status).code}` : `refused for ${rules.join(', ')} (${digest(causes)})`;
}

test('F18: the decisions are those of the golden file', async () => {
  const lines = profiles.flatMap(([profile]) => [
    ...Object.entries(corpus).map(([name, pod]) => `${profile}: ${name}: ${decisionsOn(profile, pod)}`),
    `${profile}: an old bad one, updated: ${decisionsOn(profile, hostNamespaces(), { operation: 'UPDATE', old: hostNamespaces() })}`,
    `${profile}: an old bad one, with another image: ${decisionsOn(profile, dockerInDocker(), { operation: 'UPDATE', old: withImage('docker:27') })}`,
    `${profile}: an old bad one, started: ${decisionsOn(profile, plainPod(), { operation: 'UPDATE', old: plainPod('plain', GATED) })}`,
    `${profile}: a plain one, made bad: ${decisionsOn(profile, hostNamespaces('plain'), { operation: 'UPDATE', old: plainPod() })}`,
  ]);
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('../../golden/decisions.txt');
});
