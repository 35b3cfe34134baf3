import { describe, expect, test } from 'vitest';
import { scanRoles } from '../../../src/manifests/rbac.ts';
import { type Manifest, only, render, rendered } from '../../support/helm.ts';

/** The CronJob of `cloister scan`. */

const manifests = await rendered({ scan: { enabled: true } });
const ofScan = (all: readonly Manifest[]): readonly Manifest[] => all.filter(({ metadata }) => metadata.name === 'cloister-scan');
const jobOf = (all: readonly Manifest[]) => only(all, 'CronJob', 'cloister-scan').spec.jobTemplate.spec;
const argsOf = (all: readonly Manifest[]): readonly string[] => jobOf(all).template.spec.containers[0].args;

test('by default there is no scan', async () => {
  const byDefault = await rendered();
  expect(ofScan(byDefault)).toEqual([]);
  expect(JSON.stringify(byDefault)).not.toContain('cloister-scan');
});

test('the CronJob runs every six hours, one scan at a time, and a late one not at all', () => {
  expect(only(manifests, 'CronJob', 'cloister-scan').spec).toMatchObject({
    schedule: '17 */6 * * *',
    concurrencyPolicy: 'Forbid',
    startingDeadlineSeconds: 600,
  });
  expect(jobOf(manifests).template.spec.restartPolicy).toBe('Never');
});

test('a Job that hangs ends before the next scan, and one that fails is tried once more', () => {
  expect(jobOf(manifests)).toMatchObject({ activeDeadlineSeconds: 1800, backoffLimit: 1 });
});

describe('the command line', () => {
  test('a scan writes its reports, and no finding fails the Job', () => {
    expect(argsOf(manifests)).toEqual([
      'scan',
      '--config=/etc/cloister/config/config.yaml',
      '--cloister-namespace=cloister-system',
      '--operations-port=9443',
      '--output=openreports',
      '--write',
      '--max-reports=1000',
      '--page-size=20',
      '--fail-on=never',
    ]);
  });

  test('with the output json a scan writes nothing to the cluster', async () => {
    const json = await rendered({ scan: { enabled: true, output: 'json' } });
    expect(argsOf(json)).toEqual(
      argsOf(manifests).flatMap((arg) => (/write|max-reports/.test(arg) ? [] : [arg.replace('openreports', 'json')])),
    );
    const { rules } = only(json, 'ClusterRole', 'cloister-scan') as unknown as {
      readonly rules: readonly { readonly verbs: readonly string[] }[];
    };
    expect(new Set(rules.flatMap(({ verbs }) => verbs))).toEqual(new Set(['list']));
  });

  test('flags and limits of the values are in the pod', async () => {
    const own = await rendered({
      scan: { enabled: true, maxReports: 5_000_000, extraArgs: ['--page-size=50'], resources: { limits: { memory: '1Gi' } } },
    });
    expect(argsOf(own)).toContain('--max-reports=5000000');
    expect(argsOf(own).at(-1)).toBe('--page-size=50');
    expect(jobOf(own).template.spec.containers[0].resources.limits).toEqual({ memory: '1Gi' });
  });

  test.each([{ output: 'html' }, { maxReports: 0 }, { schedule: 'hourly' }, { format: 'json' }])(
    'the values %j are rejected',
    async (scan) => {
      const { code, stderr } = await render(JSON.stringify({ scan }));
      expect(code).not.toBe(0);
      expect(stderr).toContain('/scan');
    },
  );
});

test.each(['openreports', 'json'])(
  'T72: with the output %s a scan has exactly the rights that `cloister scan --print-rbac` prints',
  async (output) => {
    const all = await rendered({ scan: { enabled: true, output } });
    const writesReports = output === 'openreports';
    const printed = scanRoles({ namespaces: [], cloisterNamespace: 'cloister-system', configMap: undefined, writesReports });
    expect(printed).toHaveLength(2);
    for (const { kind, rules } of printed) expect(rightsIn(only(all, kind, 'cloister-scan').rules), kind).toEqual(rightsIn(rules));
    expect(JSON.stringify(printed)).not.toMatch(/secrets|configmaps/);
  },
);

/** One by one, in the order of the alphabet. */
function rightsIn(rules: unknown): readonly string[] {
  type Rule = Readonly<Record<'apiGroups' | 'resources' | 'verbs', readonly string[]>>;
  return (rules as readonly Rule[])
    .flatMap(({ apiGroups, resources, verbs }) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}.${apiGroups}`)))
    .sort();
}

test('the role of a scan is bound to its own service account', () => {
  for (const kind of ['ClusterRoleBinding', 'RoleBinding']) {
    expect(only(manifests, kind, 'cloister-scan')).toMatchObject({
      roleRef: { kind: kind.replace('Binding', ''), name: 'cloister-scan' },
      subjects: [{ kind: 'ServiceAccount', name: 'cloister-scan', namespace: 'cloister-system' }],
    });
  }
});

test('the pod of a scan is as restricted as the serving pods, with an identity and a token of its own', () => {
  const { spec } = jobOf(manifests).template;
  const serving = only(manifests, 'Deployment').spec.template.spec;
  expect(spec.securityContext).toEqual(serving.securityContext);
  expect(spec.containers[0].securityContext).toEqual(serving.containers[0].securityContext);
  expect(spec).toMatchObject({ serviceAccountName: 'cloister-scan', automountServiceAccountToken: false, enableServiceLinks: false });
  expect(spec.priorityClassName).toBeUndefined();
  expect(spec.containers[0].resources).toEqual({ requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } });
  const tokens = spec.volumes.flatMap(({ projected }: { projected?: { sources: readonly object[] } }) => projected?.sources ?? []);
  expect(tokens).toContainEqual({ serviceAccountToken: { path: 'token', expirationSeconds: 3600 } });
});

test('a scan reaches the API server and the serving pods alone, and the serving pods admit it', () => {
  const peer = (component: string) => ({
    podSelector: {
      matchLabels: {
        'app.kubernetes.io/name': 'cloister',
        'app.kubernetes.io/instance': 'cloister',
        'app.kubernetes.io/component': component,
      },
    },
  });
  const { spec } = only(manifests, 'NetworkPolicy', 'cloister-scan');
  expect({ ...only(manifests, 'NetworkPolicy', 'cloister-ensure').spec, podSelector: peer('scan').podSelector }).toEqual(spec);
  expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
  expect(spec.ingress).toBeUndefined();
  expect(only(manifests, 'NetworkPolicy', 'cloister-webhook').spec.ingress.at(-1).from).toEqual([
    peer('ensure'),
    peer('scan'),
    peer('test'),
  ]);
});
