import { expect, test } from 'vitest';
import { chartTool } from '../../../tools/programs/chart-tools.ts';
import { CHART, NAMESPACE, only, rendered, run } from '../../support/helm.ts';

/** The text that helm prints after an installation: the next commands, and warnings about the values in use. */

async function notes(values: object = {}): Promise<string> {
  const release = ['install', 'cloister', CHART, `--namespace=${NAMESPACE}`, '--dry-run=client', '--output=json', '--values=-'];
  const { stdout } = await run(await chartTool('helm'), release, JSON.stringify(values));
  return (JSON.parse(stdout) as { readonly info: { readonly notes: string } }).info.notes;
}

const byDefault = await notes();

test('the Job that the notes wait for is the Job of the release', async () => {
  const [, named = ''] = /wait --for=condition=complete job\/(\S+)/.exec(byDefault) ?? [];
  expect(only(await rendered(), 'Job').metadata.name).toBe(named);
});

test('the notes of the default values contain the commands to wait, test and label, and the namespaces without governance', () => {
  for (const said of [
    `kubectl --namespace ${NAMESPACE} wait --for=condition=complete job/cloister-ensure-`,
    `helm test cloister --namespace ${NAMESPACE}`,
    'It runs `cloister doctor` for the release.',
    'kubectl label namespace NAME cloister.dev/warn=userns',
    'kubectl label namespace NAME cloister.dev/enforce=userns',
    `Labels have no effect in kube-system, kube-node-lease and ${NAMESPACE}: Cloister does not govern pods there.`,
    'others need the ClusterRole cloister-labeler',
  ])
    expect(byDefault).toContain(said);
  expect(byDefault).not.toContain('WARNING');
});

test.each<[says: string, of: string, values: object]>([
  ['WARNING: replicas is 1. While that one pod is replaced, no pod can be created', 'replicas is 1', { replicas: 1 }],
  [
    'WARNING: userns grants containers with a seccomp profile, and nodeProfile.enabled is false.',
    'nothing installs the seccomp profile',
    { nodeProfile: { enabled: false } },
  ],
  ['WARNING: hostNetwork is true. The pods listen on their nodes', 'hostNetwork is true', { hostNetwork: true }],
  ["cert-manager's CA injector writes the caBundle", 'cert-manager issues the certificate', { certificates: { source: 'cert-manager' } }],
  ['and the `labelers` of the values', 'labelers are configured', { labelers: [{ kind: 'Group', name: 'platform' }] }],
  [
    'It governs the namespaces that `governs` and `default` select, and those that you label.',
    'namespaces are governed by name',
    { default: { audit: 'userns' } },
  ],
  ['Profiles: gvisor, userns.', 'two profiles are configured', { profiles: { gvisor: {} } }],
  ['Profiles: none, so pods are refused in every labelled namespace', 'no profile is configured', { profiles: { userns: null } }],
])('the notes contain "%s" only if %s', async (says, _, values) => {
  expect(await notes(values)).toContain(says);
  expect(byDefault).not.toContain(says);
});

test.each([
  ['must not enforce Pod Security', 'the DaemonSet has a namespace of its own', { nodeProfile: { namespace: 'cloister-nodes' } }],
  [
    'any pod of the cluster may send reviews',
    'the addresses of the API servers are known',
    { networkPolicy: { apiServerCidrs: ['10.0.0.0/28'] } },
  ],
])('the notes contain "%s" unless %s', async (says, _, values) => {
  expect(byDefault).toContain(says);
  expect(await notes(values)).not.toContain(says);
});

test('the notes do not warn about replicas: 1 if an autoscaler is enabled', async () => {
  expect(await notes({ replicas: 1, autoscaling: { enabled: true } })).not.toContain('WARNING');
});
