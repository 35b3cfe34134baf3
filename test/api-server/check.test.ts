import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readText } from '../../src/manifests/read.ts';
import { type ApiServer, startApiServer, useApiServer } from '../support/api-server.ts';
import { cloister } from '../support/run.ts';

/** `cloister check` beside a real API server and kubectl. */

let apiServer: ApiServer;
beforeAll(async () => {
  apiServer = await useApiServer();
});

const POD = 'apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: a, image: b}]}\n';
const pod = (name: string): string => POD.replace('NAME', name);

/** On its own API server, because the webhook configurations have fixed names. */
describe('--from-cluster', () => {
  let own: Awaited<ReturnType<typeof startApiServer>>;
  const config = (profile: string): string => `apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {${profile}: {grant: none}}\n`;
  let kubeconfig = '';
  const check = (...args: string[]) => cloister(['check', '-', '--from-cluster', '--kubeconfig', kubeconfig, ...args], pod('a'));

  const apply = (object: object) => own.kubectl(['apply', '-f', '-'], { input: JSON.stringify(object) });

  async function install(namespace: string, data: object): Promise<void> {
    await own.createNamespace(namespace);
    await publish(namespace, data);
  }

  async function publish(namespace: string, data: object): Promise<void> {
    await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cloister-config', namespace }, data });
  }

  /** A webhook configuration as the chart makes it, with an entry for each namespace of a Service. */
  async function configure(
    kind: 'Mutating' | 'Validating',
    services: readonly string[],
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const name = kind === 'Mutating' ? 'zz-cloister' : 'cloister';
    const webhooks = services.map((namespace, index) => ({
      name: `w${index}.cloister.dev`,
      clientConfig: { service: { namespace, name: 'cloister', path: '/unknown/audit' } },
      // Selects nothing: no server answers here.
      namespaceSelector: { matchLabels: { nothing: 'has-it' } },
      failurePolicy: 'Ignore',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
    }));
    const metadata = { name, annotations };
    await apply({ apiVersion: 'admissionregistration.k8s.io/v1', kind: `${kind}WebhookConfiguration`, metadata, webhooks });
  }

  beforeAll(async () => {
    own = await startApiServer();
    kubeconfig = await own.kubeconfig('reader', ['system:masters']);
    await install('first', { 'config.yaml': config('gvisor') });
    await install('second', { 'config.yaml': config('kata-qemu') });
  });

  afterAll(() => own?.stop());

  test('without an installed chart, the command says so, whatever ConfigMaps there are', async () => {
    expect(await check()).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'error: the cluster has no MutatingWebhookConfiguration zz-cloister and no ValidatingWebhookConfiguration cloister: install the chart, or name a file with --config\n',
    });
  });

  test('webhook configurations without entries and without an annotation of Helm name no namespace', async () => {
    await configure('Mutating', []);
    expect(await check()).toMatchObject({
      code: 2,
      stderr:
        'error: MutatingWebhookConfiguration zz-cloister does not say in which namespace Cloister is installed: name it with --cloister-namespace, or a file with --config\n',
    });
  });

  test('before the first entry, the release of Helm says the namespace', async () => {
    await configure('Mutating', [], { 'meta.helm.sh/release-namespace': 'second' });
    expect((await check()).stdout).toContain('(from ConfigMap second/cloister-config)');
  });

  test('T80: the configuration is read where the API server calls Cloister, and a ConfigMap elsewhere has no effect', async () => {
    await configure('Mutating', ['first', 'first'], { 'meta.helm.sh/release-namespace': 'second' });
    await configure('Validating', ['first']);
    const { code, stdout } = await check();
    expect(code).toBe(0);
    expect(stdout).toContain('judged by profile gvisor, grant none (from ConfigMap first/cloister-config)');
  });

  test('workloads in the namespace of Cloister are not judged where a default governs, and `explain` lists the same configuration', async () => {
    const governed = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\ndefault: {enforce: userns}\n';
    await publish('first', { 'config.yaml': governed });
    expect((await check('--namespace', 'first')).stdout).toBe('no pod judged; 1 pod not judged, because nothing governs its namespace\n');
    expect((await check('--namespace', 'another')).stdout).toContain('(from default of ConfigMap first/cloister-config)');
    const { stdout } = await cloister(['explain', '--from-cluster', '--kubeconfig', kubeconfig]);
    expect(stdout).toContain('  every other namespace: enforce userns\n');
  });

  test('if the entries call several namespaces, the command lists them, and one must be named', async () => {
    await configure('Validating', ['first', 'second']);
    expect((await check()).stderr).toBe(
      'error: the webhook configurations call Cloister in several namespaces (MutatingWebhookConfiguration zz-cloister: first; ' +
        'ValidatingWebhookConfiguration cloister: first, second): name one with --cloister-namespace\n',
    );
    expect((await check('--cloister-namespace', 'second')).stdout).toContain(
      'profile kata-qemu, grant none (from ConfigMap second/cloister-config)',
    );
  });

  test('a problem of the configuration is reported with the name of the ConfigMap', async () => {
    await install('third', { 'config.yaml': `${config('gvisor')}extra: 1\n` });
    await install('fourth', { other: '' });
    const errorOf = async (namespace: string): Promise<string> => (await check('--cloister-namespace', namespace)).stderr;
    expect(await errorOf('third')).toContain('error: ConfigMap third/cloister-config: extra: is unknown');
    expect(await errorOf('fourth')).toContain('error: ConfigMap fourth/cloister-config has no key config.yaml');
    expect(await errorOf('default')).toContain('error: the cluster has no ConfigMap default/cloister-config: name the namespace');
  });

  test('a missing right is reported with what to do', async () => {
    const { code, stderr } = await cloister(['check', '-', '--from-cluster', '--kubeconfig', await own.kubeconfig('stranger')], pod('a'));
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^error: cannot read MutatingWebhookConfiguration zz-cloister: .* is forbidden: .*; ask for the permission to read it, or use --config\. With --cloister-namespace, only the ConfigMap cloister-config of that namespace is read\n$/,
    );
  });
});

describe('kubectl reads the same objects', () => {
  const json = (name: string): string =>
    JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers: [{ name: 'a', image: 'b' }] } });

  /** The names of the objects, or undefined where kubectl rejects the text. */
  async function namesByKubectl(input: string): Promise<string[] | undefined> {
    const { code, stdout } = await apiServer.kubectl(['create', '--dry-run=client', '-o', 'name', '-f', '-'], { input });
    if (code !== 0) return undefined;
    return stdout
      .trim()
      .split('\n')
      .map((line) => line.replace('pod/', ''));
  }

  function namesByCheck(text: string): string[] | undefined {
    const content = readText('x.yaml', text);
    return 'source' in content ? content.source.documents.flatMap(({ pods }) => pods.map(({ subject }) => subject.name)) : undefined;
  }

  test.each([
    ['JSON lines', `${json('a')}\n${json('b')}\n`, ['a', 'b']],
    ['JSON without lines', `${json('a')}${json('b')}`, ['a', 'b']],
    ['YAML in several documents', `${pod('a')}---\n${pod('b')}`, ['a', 'b']],
    ['a byte order mark at the start', `\ufeff${pod('a')}`, ['a']],
    ['a byte order mark below a separator', `${pod('a')}---\n\ufeff${pod('b')}`, ['a', 'b']],
    ['a control character', pod('a').replace('image: b', 'image: "b\u0001"'), undefined],
    ['an unrendered template', pod('{{ .Values.name }}'), undefined],
  ])('kubectl and check agree: %s', async (_, text, names) => {
    expect(await namesByKubectl(text)).toEqual(names);
    expect(namesByCheck(text)).toEqual(names);
  });
});

test('a list of running pods is read as kubectl prints it', async () => {
  await apiServer.createNamespace('listed');
  await apiServer.kubectl(['create', '-n', 'listed', '-f', '-'], { input: `${pod('a')}---\n${pod('b')}` });
  for (const format of ['yaml', 'json']) {
    const { stdout } = await apiServer.kubectl(['get', 'pods', '-n', 'listed', '-o', format]);
    const { code, stdout: report } = await cloister(['check', '-', '-o', 'json'], stdout);
    expect(code).toBe(0);
    expect((JSON.parse(report) as { pods: object[] }).pods).toMatchObject(
      ['a', 'b'].map((name) => ({ kind: 'Pod', name, namespace: 'listed' })),
    );
  }
});

test('what fix makes of a workload is accepted by the API server', async () => {
  await apiServer.createNamespace('fixed');
  const set = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: fixed}
spec:
  selector: {matchLabels: {app: web}}
  serviceName: web
  volumeClaimTemplates: [{metadata: {name: home}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
  template:
    metadata:
      labels: {app: web}
      annotations:
        # an older node reads it
        io.kubernetes.cri-o.Devices: /dev/fuse
    spec:
      hostPID: true
      containers: [{name: a, image: b, securityContext: {capabilities: {add: [SYS_ADMIN]}}, volumeMounts: [{name: home, mountPath: /home}]}]
`;
  const { code, stdout } = await cloister(['fix', '-', '--grant', 'containers'], set);
  expect(code).toBe(0);
  expect(stdout).not.toMatch(/annotations|older node|hostPID/);
  const created = await apiServer.kubectl(['create', '--dry-run=server', '--validate=strict', '-f', '-'], { input: stdout });
  expect([created.code, created.stderr]).toEqual([0, '']);
});
