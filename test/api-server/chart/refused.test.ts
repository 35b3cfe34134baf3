import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { render } from '../../support/helm.ts';

/** Invalid values: each is rejected before anything is installed, with a message that contains the key. */
const WRONG: Readonly<Record<string, readonly [values: object, sentence: string]>> = {
  'an unknown key': [{ replicaCount: 3 }, "additional properties 'replicaCount' not allowed"],
  'an unknown key inside': [{ image: { registry: 'x' } }, "at '/image': additional properties 'registry' not allowed"],
  'a failure policy, which is not configurable': [{ failurePolicy: 'Ignore' }, "additional properties 'failurePolicy' not allowed"],
  'no replica': [{ replicas: 0 }, "at '/replicas': minimum: got 0, want 1"],
  'a negative number of replicas': [{ replicas: -1 }, "at '/replicas': minimum: got -1, want 1"],
  'a fraction of a replica': [{ replicas: 1.5 }, "at '/replicas': got number, want integer"],
  'a number in words': [{ replicas: 'three' }, "at '/replicas': got string, want integer"],
  'a tag with a colon': [{ image: { tag: ':1' } }, "at '/image/tag'"],
  'a short digest': [{ image: { digest: 'sha256:abc' } }, "at '/image/digest'"],
  'an unknown pull policy': [
    { image: { pullPolicy: 'Sometimes' } },
    "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
  ],
  'a pull secret without a name': [{ imagePullSecrets: [{}] }, "at '/imagePullSecrets/0': missing property 'name'"],
  'an unknown grant': [
    { profiles: { userns: { grant: 'all' } } },
    "at '/profiles/userns/grant': value must be one of 'none', 'sudo', 'containers'",
  ],
  'an option that no profile has': [
    { profiles: { userns: { privileged: true } } },
    "at '/profiles/userns': additional properties 'privileged' not allowed",
  ],
  "another backend's option": [
    { profiles: { gvisor: { nesting: 'seccomp' } } },
    "at '/profiles/gvisor': additional properties 'nesting' not allowed",
  ],
  "another backend's option in a user-defined profile": [
    { profiles: { mine: { extends: 'gvisor', idsPerPod: 65536 } } },
    "at '/profiles/mine': additional properties 'idsPerPod' not allowed",
  ],
  'a profile that is not a backend and extends none': [
    { profiles: { mine: { grant: 'sudo' } } },
    "at '/profiles/mine': missing property 'extends'",
  ],
  'a backend that extends another': [
    { profiles: { userns: { extends: 'gvisor' } } },
    "at '/profiles/userns': additional properties 'extends' not allowed",
  ],
  'a profile that extends an unknown profile': [{ profiles: { mine: { extends: 'usern' } } }, 'profiles.mine.extends: "usern" is unknown'],
  'profiles that extend each other': [
    { profiles: { a: { extends: 'b' }, b: { extends: 'a' } } },
    'profiles.a.extends: the profiles extend each other in a circle: one of them must extend a backend',
  ],
  'a profile in mayChoose that is not configured': [
    { profiles: { userns: { mayChoose: ['kata-qemu'] } } },
    'profiles.userns.mayChoose: "kata-qemu" is not configured: it must be one of `profiles`',
  ],
  'an element of governs without a mode': [{ governs: [{ namespaces: ['a'] }] }, "at '/governs/0': missing property 'enforce'"],
  'an element of governs for a namespace of the system': [
    { governs: [{ namespaces: ['kube-system'], enforce: 'userns' }] },
    "at '/governs/0/namespaces/0': 'not' failed",
  ],
  'a namespace that would end a string of CEL': [
    { governs: [{ namespaces: ["a'"], enforce: 'userns' }] },
    "at '/governs/0/namespaces/0': 'a\\'' does not match pattern",
  ],
  'an excluded namespace that is a pattern': [
    { excludedNamespaces: ['kube-*'] },
    "at '/excludedNamespaces/0': 'kube-*' does not match pattern",
  ],
  'a namespace of the test that is excluded': [
    { excludedNamespaces: ['kube-public'] },
    'test.namespace: no pod is judged in kube-public: use another',
  ],
  'a timeout that is too long': [{ timeoutSeconds: { watch: 6 } }, "at '/timeoutSeconds/watch': maximum: got 6, want 5"],
  'an element of governs with a profile that is not configured': [
    { governs: [{ namespaces: ['a'], warn: 'usrns' }] },
    'governs[0].warn: "usrns" is not configured: it must be one of `profiles`',
  ],
  'a default with a profile that is not configured': [
    { default: { audit: 'usrns' } },
    'default.audit: "usrns" is not configured: it must be one of `profiles`',
  ],
  'a default that refuses the DaemonSet of the node profile': [
    { nodeProfile: { namespace: 'nodes' }, default: { enforce: 'userns' } },
    "nodeProfile.namespace: `governs` or `default` enforces userns in nodes, which refuses the DaemonSet's hostPath: add nodes to default.except",
  ],
  'a profile with capitals': [{ profiles: { UserNS: { extends: 'userns' } } }, "invalid propertyName 'UserNS'"],
  "a path outside the kubelet's folder": [{ profiles: { userns: { seccompProfile: '../etc' } } }, "at '/profiles/userns/seccompProfile'"],
  'a storage entry that is not a path': [{ profiles: { userns: { storage: ['images'] } } }, "at '/profiles/userns/storage/0'"],
  'the same storage path twice': [
    { profiles: { userns: { storage: ['/a', '/a'] } } },
    "at '/profiles/userns/storage': items at 0 and 1 are equal",
  ],
  'an idsPerPod that is not a multiple of 65536': [
    { profiles: { userns: { idsPerPod: 1000 } } },
    "at '/profiles/userns/idsPerPod': multipleOf",
  ],
  'an exemption without a reason': [
    { exemptions: [{ expires: '2027-01-01', namespaces: ['a'], serviceAccounts: ['b'], allow: { capabilities: ['NET_ADMIN'] } }] },
    "at '/exemptions/0': missing property 'reason'",
  ],
  'an exemption without an expiry': [
    { exemptions: [{ reason: 'x', namespaces: ['a'], serviceAccounts: ['b'], allow: { capabilities: ['NET_ADMIN'] } }] },
    "at '/exemptions/0': missing property 'expires'",
  ],
  'an exemption that never expires': [
    { exemptions: [{ reason: 'x', expires: 'never', namespaces: ['a'], serviceAccounts: ['b'], allow: { capabilities: ['A'] } }] },
    "at '/exemptions/0/expires'",
  ],
  'an exemption from a rule without exemptions': [
    { exemptions: [{ reason: 'x', expires: '2027-01-01', namespaces: ['a'], serviceAccounts: ['b'], allow: { privileged: ['true'] } }] },
    "at '/exemptions/0/allow': additional properties 'privileged' not allowed",
  ],
  'a minimum number of pods above the maximum': [
    { autoscaling: { enabled: true, minReplicas: 9, maxReplicas: 3 } },
    'autoscaling.minReplicas: is greater than autoscaling.maxReplicas',
  ],
  'a disruption budget that allows all pods to be unavailable': [
    { podDisruptionBudget: { maxUnavailable: 3 } },
    'podDisruptionBudget.maxUnavailable: allows all 3 pods to be unavailable at once',
  ],
  'an unknown log level': [{ logLevel: 'trace' }, "at '/logLevel': value must be one of"],
  'a delay without a unit': [{ drainDelay: 15 }, "at '/drainDelay': got number, want string"],
  'names without an authority': [{ clientCertificates: { names: ['apiserver'] } }, 'clientCertificates.names: needs an authority'],
  'an unknown source of certificates': [
    { certificates: { source: 'helm' } },
    "at '/certificates/source': value must be one of 'ensure', 'cert-manager'",
  ],
  'an issuer without a name': [
    { certificates: { certManager: { issuerRef: { kind: 'Issuer' } } } },
    "at '/certificates/certManager/issuerRef'",
  ],
  'a port number that is too large': [{ ports: { webhook: 70000 } }, "at '/ports/webhook': maximum: got 70,000, want 65,535"],
  'a privileged port': [{ ports: { webhook: 443 } }, "at '/ports/webhook': minimum: got 443, want 1,024"],
  'the same port for reviews and probes': [{ ports: { webhook: 9443 } }, 'ports: two of them are equal'],
  'the same port for probes and metrics': [{ ports: { metrics: 9443 } }, 'ports: two of them are equal'],
  'a ServiceMonitor whose Prometheus the NetworkPolicy keeps out': [
    { monitoring: { serviceMonitor: { enabled: true } } },
    'networkPolicy.metricsFrom: is empty',
  ],
  'a user namespace together with the host network': [
    { hostNetwork: true, hostUsers: false },
    'hostUsers: false cannot be combined with hostNetwork',
  ],
  'the user root': [{ runAs: { user: 0 } }, "at '/runAs/user': minimum: got 0, want 1"],
  'a label that is the chart’s own': [{ labels: { 'app.kubernetes.io/name': 'other' } }, 'app.kubernetes.io/name'],
  'a schedule of four fields': [{ ensure: { schedule: '* * * *' } }, "at '/ensure/schedule'"],
  'a flag without dashes': [{ ensure: { extraArgs: ['wait'] } }, "at '/ensure/extraArgs/0'"],
  'an address instead of a CIDR': [{ networkPolicy: { apiServerCidrs: ['10.0.0.1'] } }, "at '/networkPolicy/apiServerCidrs/0'"],
  'a labeler of an unknown kind': [
    { labelers: [{ kind: 'Team', name: 'a' }] },
    "at '/labelers/0/kind': value must be one of 'User', 'Group', 'ServiceAccount'",
  ],
  'a boolean instead of the settings of a monitor': [
    { monitoring: { serviceMonitor: true } },
    "at '/monitoring/serviceMonitor': got boolean, want object",
  ],
  "a test in Cloister's own namespace": [
    { test: { namespace: 'cloister-system' } },
    "test.namespace: cloister-system is Cloister's own namespace",
  ],
  'a test in kube-system': [{ test: { namespace: 'kube-system' } }, 'test.namespace: no pod is judged in kube-system'],
  'an environment variable that the chart sets': [{ env: [{ name: 'POD_IP', value: '10.0.0.7' }] }, 'env: POD_IP is set by the chart'],
  'a flag that the chart sets': [
    { extraArgs: ['--log-level=debug'] },
    'extraArgs: the chart sets this flag from `logLevel`: use that value',
  ],
  'an authority of clients in a value and in a flag': [
    { clientCertificates: { caConfigMap: 'clients' }, extraArgs: ['--client-ca=/etc/company/ca.crt'] },
    'extraArgs: the chart sets this flag from `clientCertificates.caConfigMap`: use that value',
  ],
  'a registry with a scheme': [{ global: { imageRegistry: 'https://mirror.example.com' } }, "at '/global/imageRegistry'"],
  'a strategy without a type': [{ updateStrategy: { rollingUpdate: { maxSurge: 1 } } }, "at '/updateStrategy'"],
  'a certificate whose renewal would precede its issue': [
    { certificates: { source: 'cert-manager', certManager: { duration: '24h', renewBefore: '1h1380m' } } },
    'certificates.certManager.renewBefore: 1h1380m is not shorter than the duration, 24h',
  ],
};

test('at least 25 invalid values are tested', () => expect(Object.keys(WRONG).length).toBeGreaterThanOrEqual(25));

test.each(Object.entries(WRONG))('the chart rejects %s', async (_, [values, sentence]) => {
  const { code, stdout, stderr } = await render(stringify(values));
  expect(stderr).toContain(sentence);
  expect(stdout).toBe('');
  expect(code).not.toBe(0);
});

test.each(['kube-system', 'kube-node-lease'])('the chart rejects a release in %s, where no pod is judged', async (namespace) => {
  const { code, stderr } = await render('{}', [`--namespace=${namespace}`]);
  expect(stderr).toContain(`the release's namespace is ${namespace}: install Cloister into its own namespace`);
  expect(code).not.toBe(0);
});

describe('below Kubernetes 1.33, where the API server drops hostUsers by default', () => {
  const at = (version: string, values: object) => render(stringify(values), [`--kube-version=${version}`]);
  const SENTENCE = 'drops hostUsers by default, and Cloister would refuse every pod of this profile: upgrade to 1.33 or later';

  test.each<[string, object]>([
    ['the default profile', {}],
    ['sysbox', { profiles: { userns: null, sysbox: {} } }],
    ['a profile that extends userns', { profiles: { userns: null, 'team-a': { extends: 'userns' } } }],
  ])('the chart rejects %s', async (_, values) => {
    for (const version of ['1.30.0', 'v1.31.7-eks-473151a', '1.32.13']) {
      const { code, stderr } = await at(version, values);
      expect(stderr, version).toContain(SENTENCE);
      expect(code).not.toBe(0);
    }
  });

  test.each<[string, string, object]>([
    ['the default profile, with the value that states that the gates are on', '1.32.0', { userNamespaceGates: true }],
    ['profiles that need no user namespace', '1.30.14', { profiles: { userns: null, gvisor: {}, 'kata-qemu': {} } }],
    ['sysbox with the annotation of CRI-O', '1.30.14', { profiles: { userns: null, sysbox: { identity: 'crio-annotation' } } }],
    ['the default profile of 1.33', '1.33.0', {}],
    ['the default profile of a provider’s 1.33', 'v1.33.1-gke.100', {}],
  ])('the chart accepts %s', async (_, version, values) => {
    const { code, stderr } = await at(version, values);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('the chart rejects Kubernetes before 1.30, whatever the values', async () => {
    const { code, stderr } = await at('1.29.0', { userNamespaceGates: true, profiles: { userns: null, gvisor: {} } });
    expect(stderr).toContain('chart requires kubeVersion: >=1.30.0-0');
    expect(code).not.toBe(0);
  });
});
