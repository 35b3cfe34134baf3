import { expect, test } from 'vitest';
import { program } from '../../../tools/programs/chart-tools.ts';
import { CHART, NAMESPACE, run } from '../../support/helm.ts';

/** What helm prints after an installation: the next command, and what the values at hand should make whoever installs think of. */

async function notes(values: object = {}): Promise<string> {
  const release = ['install', 'cloister', CHART, `--namespace=${NAMESPACE}`, '--dry-run=client', '--output=json', '--values=-'];
  const { stdout } = await run(await program('helm'), release, JSON.stringify(values));
  return (JSON.parse(stdout) as { readonly info: { readonly notes: string } }).info.notes;
}

const byDefault = await notes();

test('by default: wait, test, label, and who is not held', () => {
  for (const said of [
    `kubectl --namespace ${NAMESPACE} wait --for=condition=complete job`,
    `helm test cloister --namespace ${NAMESPACE}`,
    'kubectl label namespace NAME cloister.dev/warn=userns',
    'kubectl label namespace NAME cloister.dev/enforce=userns',
    `Namespaces that no label reaches: kube-system, kube-node-lease, ${NAMESPACE}. Whoever may create pods in them`,
    'others need the ClusterRole cloister-labeler',
  ])
    expect(byDefault).toContain(said);
  expect(byDefault).not.toContain('WARNING');
});

test.each<[says: string, of: string, values: object]>([
  ['WARNING: replicas is 1. While that one pod is replaced, no pod can be created', 'one replica', { replicas: 1 }],
  [
    'WARNING: userns grants containers by a seccomp profile, and nodeProfile.enabled is false.',
    'a profile that nothing brings to the nodes',
    { nodeProfile: { enabled: false } },
  ],
  ['WARNING: hostNetwork is true. The pods listen on their nodes', "the nodes' network", { hostNetwork: true }],
  ["cert-manager's CA injector writes the caBundle", 'cert-manager', { certificates: { source: 'cert-manager' } }],
  ['and the `labelers` of the values', 'who may label', { labelers: [{ kind: 'Group', name: 'platform' }] }],
  ['Profiles: gvisor, userns.', 'profiles', { profiles: { gvisor: {} } }],
  ['Profiles: none, so that every label that names one refuses pods', 'no profile', { profiles: { userns: null } }],
])('it says "%s" of %s, and only then', async (says, _, values) => {
  expect(await notes(values)).toContain(says);
  expect(byDefault).not.toContain(says);
});

test.each([
  ['must not enforce Pod Security', 'the DaemonSet in the namespace of the release', { nodeProfile: { namespace: 'cloister-nodes' } }],
  [
    'any pod of the cluster may send reviews',
    'API servers whose addresses are not known',
    { networkPolicy: { apiServerCidrs: ['10.0.0.0/28'] } },
  ],
])('it says "%s" of %s, and only then', async (says, _, values) => {
  expect(byDefault).toContain(says);
  expect(await notes(values)).not.toContain(says);
});

test('one replica is no reason to warn where an autoscaler has the say', async () => {
  expect(await notes({ replicas: 1, autoscaling: { enabled: true } })).not.toContain('WARNING');
});
