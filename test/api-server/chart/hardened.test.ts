import { expect, test } from 'vitest';
import { parseDuration } from '../../../src/commands/shared/flags.ts';
import { defaultConfig } from '../../../src/config/parse.ts';
import { selectChecks } from '../../../src/doctor/examine.ts';
import { type RbacRule, rulesOf } from '../../../src/doctor/rights.ts';
import { policiesBesideWebhook } from '../../../src/in-tree/beside.ts';
import { ensureRoles, userRoles } from '../../../src/manifests/rbac.ts';
import { type Manifest, only, rendered } from '../../support/helm.ts';

/** What the chart makes by default, held against what it is to be. */

const manifests = await rendered();
const TARGET = { service: { namespace: 'cloister-system', name: 'cloister' } };
const POLICIES = policiesBesideWebhook(defaultConfig(), TARGET);
const of = (kind: string, name?: string): Manifest => only(manifests, kind, name);
const everyPod = manifests.flatMap(({ kind, metadata, spec }) => {
  const template = kind === 'CronJob' ? spec.jobTemplate.spec.template : kind === 'Pod' ? { spec } : spec?.template;
  return template === undefined ? [] : [{ name: `${kind} ${metadata.name}`, spec: template.spec }];
});

test('T72: the chart gives `cloister ensure` exactly the rights that `cloister manifests --rbac` prints', () => {
  const printed = ensureRoles({ namespace: 'cloister-system', name: 'cloister' }, 'ensure', POLICIES);
  for (const { kind, metadata, ...rest } of printed) {
    const { apiVersion: _, metadata: __, automountServiceAccountToken: ___, ...found } = of(kind, metadata.name);
    const { apiVersion: ____, ...wanted } = rest;
    expect(sorted(found), kind).toEqual(sorted({ kind, ...wanted }));
  }
});

test('T72: without policies of the profiles, the chart gives `cloister ensure` the rights that are then printed', async () => {
  const policies = policiesBesideWebhook({ ...defaultConfig(), backstop: false }, TARGET);
  const printed = ensureRoles(TARGET.service, 'ensure', policies).find(({ kind }) => kind === 'ClusterRole');
  const found = only(await rendered({ backstop: { enabled: false } }), 'ClusterRole', 'cloister-ensure');
  expect(sorted(found.rules)).toEqual(sorted(printed?.rules));
});

test('T72: with cert-manager `cloister ensure` may not read a Secret', async () => {
  const role = only(await rendered({ certificates: { source: 'cert-manager' } }), 'Role', 'cloister-ensure');
  expect(role.rules).toEqual(
    ensureRoles({ namespace: 'cloister-system', name: 'cloister' }, 'files', POLICIES).find(({ kind }) => kind === 'Role')?.rules,
  );
});

test.each(userRoles().map((role) => [role.metadata.name, role] as const))(
  'the ClusterRole %s equals that of `cloister manifests`',
  (name, role) => {
    expect(of('ClusterRole', name).rules).toEqual(role.rules);
  },
);

test('T72: the chart has roles and bindings only for ensure, for labelling, for managing and for the test', () => {
  const roles = manifests.filter(({ kind }) => /Role/.test(kind)).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  expect(roles.sort()).toEqual([
    'ClusterRole cloister-ensure',
    'ClusterRole cloister-labeler',
    'ClusterRole cloister-manager',
    'ClusterRole cloister-test',
    'ClusterRoleBinding cloister-ensure',
    'ClusterRoleBinding cloister-test',
    'Role cloister-ensure',
    'Role cloister-test',
    'RoleBinding cloister-ensure',
    'RoleBinding cloister-test',
  ]);
});

test('T72: the test has the rights that `cloister doctor --print-rbac` prints for its flags, and may create pods in its namespace alone', () => {
  const printed = rulesOf(selectChecks({ dryRuns: true, pods: false }).flatMap(({ needs }) => needs));
  const { rules: inCluster } = of('ClusterRole', 'cloister-test');
  const { rules: inNamespace, metadata } = of('Role', 'cloister-test');
  expect(metadata.namespace).toBe('kube-public');
  expect(inNamespace).toEqual([{ apiGroups: [''], resources: ['pods'], verbs: ['create'] }]);
  const verbsOf = (rules: readonly RbacRule[]) => rules.flatMap(({ verbs }) => verbs);
  expect(new Set(verbsOf(inCluster))).toEqual(new Set(['get', 'list']));
  expect(rulesIn([...inCluster, ...inNamespace])).toEqual(rulesIn(printed));
});

/** One line for each verb on each resource. */
const rulesIn = (rules: readonly RbacRule[]): readonly string[] =>
  rules
    .flatMap(({ apiGroups = [], resources = [], nonResourceURLs = [], verbs }) =>
      [...resources.map((each) => `${apiGroups[0]}/${each}`), ...nonResourceURLs].flatMap((on) => verbs.map((verb) => `${verb} ${on}`)),
    )
    .toSorted();

test('`helm test` runs doctor for the configuration of the release, in the namespace of the values', async () => {
  const { args, command } = only(await rendered({ test: { namespace: 'lab' } }), 'Pod', 'cloister-test').spec.containers[0];
  expect([command, args]).toEqual([
    undefined,
    [
      'doctor',
      '--config=/etc/cloister/config/config.yaml',
      '--cloister-namespace=cloister-system',
      '--operations-port=9443',
      '--namespace=lab',
      '--fail-on=error',
    ],
  ]);
});

test('T72: only ensure and the test get a token, which is valid for an hour', () => {
  const tokens = everyPod.flatMap(({ name, spec }) =>
    (spec.volumes ?? []).flatMap(({ projected }: { projected?: { sources: readonly { serviceAccountToken?: object }[] } }) =>
      (projected?.sources ?? []).flatMap(({ serviceAccountToken }) =>
        serviceAccountToken === undefined ? [] : [[name.replace(/-[0-9a-f]{10}$/, ''), serviceAccountToken]],
      ),
    ),
  );
  expect(tokens.sort()).toEqual(
    ['CronJob cloister-ensure', 'Job cloister-ensure', 'Pod cloister-test']
      .map((name) => [name, { path: 'token', expirationSeconds: 3600 }])
      .sort(),
  );
  expect(everyPod.map(({ spec }) => spec.automountServiceAccountToken)).toEqual(everyPod.map(() => false));
});

test('T20, T28: webhook configurations are empty and have the names that ensure writes', () => {
  expect(of('MutatingWebhookConfiguration', 'zz-cloister')).not.toHaveProperty('webhooks');
  expect(of('ValidatingWebhookConfiguration', 'cloister')).not.toHaveProperty('webhooks');
});

test('T67: two renderings of the chart are equal', async () => {
  expect(await rendered()).toEqual(manifests);
});

test('F9: three replicas are spread; one may be unavailable at a time, and pods that are not ready can always be evicted', () => {
  const { spec } = of('Deployment');
  expect(spec).toMatchObject({ replicas: 3, strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } } });
  expect(spec.template.spec.topologySpreadConstraints).toMatchObject([
    { topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'DoNotSchedule' },
    { topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' },
  ]);
  expect(of('PodDisruptionBudget').spec).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow' });
});

test.each([
  [undefined, 60],
  ['2m', 165],
  ['1500ms', 47],
  ['0s', 45],
])('F7: the drain delay %s ends within the grace period of the pod', async (drainDelay, grace) => {
  const { terminationGracePeriodSeconds, containers } = only(await rendered({ drainDelay }), 'Deployment').spec.template.spec;
  const delay = containers[0].args.find((each: string) => each.startsWith('--drain-delay=')).replace('--drain-delay=', '');
  expect(terminationGracePeriodSeconds).toBe(grace);
  // Longest: what is under way, as docs/serving.md says.
  expect(parseDuration(delay) / 1_000 + 11).toBeLessThan(terminationGracePeriodSeconds);
});

test.each([
  ['sudo', {}, false],
  ['containers', {}, true],
  ['containers', { nesting: 'sysadmin' }, false],
  ['containers', { seccompProfile: 'teams/own.json' }, false],
])('the DaemonSet of the seccomp profile exists only if a profile needs it: grant %s, %j', async (grant, options, isNeeded) => {
  const made = await rendered({ profiles: { userns: { grant, ...options } } });
  expect(made.some(({ kind }) => kind === 'DaemonSet')).toBe(isNeeded);
});

/** Rules and their words in any order are the same rules. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
}
