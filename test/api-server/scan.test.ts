import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { cloister, type Ran } from '../support/run.ts';
import { pod, type ScanCluster, scanClusterOf, WALLED } from '../support/scan-cluster.ts';

/** `cloister scan` beside an API server of its own, which has no webhook: pods of every kind can be stored. There are no kubelets. */

let apiServer: ApiServer & { stop(): Promise<void> };
let kubeconfig = '';
let cluster: ScanCluster;

const scan = (...args: readonly string[]): Promise<Ran> => cloister(['scan', '--kubeconfig', kubeconfig, ...args]);

interface ScannedPod {
  readonly namespace: string;
  readonly name: string;
  readonly mode: string;
  readonly profile: string;
  readonly grant: string;
  readonly verdict: string;
  readonly notes: readonly string[];
  readonly findings: readonly { readonly rule: string }[];
  readonly wall: { readonly is: string; readonly findings: readonly { readonly check: string; readonly message: string }[] };
}
interface Scanned {
  readonly summary: Readonly<Record<string, unknown>>;
  readonly mirrors: readonly string[];
  readonly notes: readonly string[];
  readonly incomplete: readonly string[];
  readonly pods: readonly ScannedPod[];
  readonly cluster: { readonly version: string; readonly configuration: { readonly matchesWebhook?: boolean } };
}

async function scanned(...args: readonly string[]): Promise<Scanned> {
  const { stdout, stderr } = await scan('-o', 'json', ...args);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Scanned;
}

/** `mode verdict wall: rules, checks` of each row of a pod. */
function rowsOf({ pods }: Scanned, title: string): string[] {
  return pods
    .filter(({ namespace, name }) => `${namespace}/${name}` === title)
    .map(({ mode, verdict, wall, findings }) => {
      const names = [...new Set(findings.map(({ rule }) => rule)), ...wall.findings.map(({ check }) => check)];
      return `${mode} ${verdict} ${wall.is}: ${names.join(', ')}`;
    });
}

beforeAll(async () => {
  apiServer = await startApiServer();
  kubeconfig = await apiServer.kubeconfig('operator', ['system:masters']);
  cluster = scanClusterOf(apiServer);
  await cluster.fill();
}, 120_000);

afterAll(async () => {
  await apiServer.stop();
});

describe('a scan of the whole cluster', () => {
  let result: Scanned;
  beforeAll(async () => {
    result = await scanned();
  });

  test.each([
    ['team-a/clean', ['enforce clean stands: ']],
    ['team-a/unmarked', ['enforce clean stands: ']],
    ['team-a/ignored', ['enforce clean missing: userns-ignored']],
    ['team-a/waiting', ['enforce clean down: not-running, start-failure']],
    ['team-a/named', ['enforce escapes down: node-name, not-running']],
    ['team-b/plain', ['enforce clean missing: handler-ordinary']],
    ['team-c/two-modes', ['enforce clean stands: ', expect.stringMatching(/^warn escapes none: user-namespace, runtime-class/)]],
    ['team-d/opted-in', ['opt-in clean stands: ']],
    ['team-d/ungoverned', []],
    ['team-a/done', []],
    ['team-a/static-worker-1', []],
    ['team-e/unknown-profile', ['audit unjudged claimed: ']],
    ['by-name-1/by-name', ['enforce clean stands: ']],
  ])('%s: %j', (title, rows) => {
    expect(rowsOf(result, title).toSorted()).toEqual(rows);
  });

  test('a pod that breaks rules has them in its row, and no wall', () => {
    const [row = ''] = rowsOf(result, 'team-a/escaped');
    expect(row).toMatch(/^enforce escapes none: /);
    for (const rule of ['user-namespace', 'privileged', 'volume-types']) expect(row).toContain(rule);
  });

  test('the worst pods are first', () => {
    const verdicts = result.pods.map(({ verdict, wall }) =>
      verdict === 'escapes' || wall.is === 'missing' ? 0 : verdict === 'unjudged' ? 1 : 2,
    );
    expect(verdicts).toEqual(verdicts.toSorted());
  });

  test('T19: a pod without the mark of Cloister has a note, and a marked one has none', () => {
    const notesOf = (pod: string) => result.pods.find(({ name }) => name === pod)?.notes;
    expect(notesOf('clean')).toEqual([]);
    expect(notesOf('unmarked')).toEqual([
      'the pod has no mark of Cloister, although its namespace had the label before: it was created while Cloister was not called',
    ]);
  });

  test('an event explains why a pod, or a pod that a controller cannot create, is not there', () => {
    const waiting = result.pods.find(({ name }) => name === 'waiting');
    expect(waiting?.wall.findings.map(({ message }) => message)).toContain('the node allows no user namespaces');
    expect(result.notes).toContainEqual(expect.stringMatching(/^ReplicaSet team-a\/web cannot create pods: the Pod Security level/));
  });

  test('a pod that mirrors a static pod of a node is named', () => {
    expect(result.mirrors).toEqual(['team-a/static-worker-1']);
  });

  test('a profile that is not configured is named', () => {
    expect(result.pods.find(({ name }) => name === 'unknown-profile')?.notes).toEqual([
      'profile "nonesuch" is not configured; the configured profiles are: userns, gvisor, kata-qemu',
    ]);
  });

  test('the version of the cluster is in the report, and that there is no serving pod to ask', () => {
    expect(result.cluster.version).toMatch(/^v1\.\d+\.\d+/);
    expect(result.cluster.configuration.matchesWebhook).toBeUndefined();
    expect(result.notes).toContainEqual(
      expect.stringMatching(/^No serving pod states its configuration: Service cloister-system\/cloister has no pods/),
    );
    expect(result.incomplete).toEqual([]);
  });
});

describe('the table', () => {
  test('prints what has findings, and counts the rest on standard error', async () => {
    const { code, stdout, stderr } = await scan('-n', 'team-a');
    expect(code).toBe(1);
    expect(stdout.split('\n').map((line) => line.split(/ {3,}/))).toMatchObject([
      ['NAMESPACE', 'POD', 'MODE', 'PROFILE', 'VERDICT', 'WALL', 'FINDINGS'],
      ['team-a', 'escaped', 'enforce', 'userns/sudo', 'escapes', 'none', expect.stringMatching(/^user-namespace, .* \+\d+$/)],
      ['team-a', 'ignored', 'enforce', 'userns/sudo', 'clean', 'missing', 'userns-ignored'],
      ['team-a', 'named', 'enforce', 'userns/sudo', 'escapes', 'down', 'node-name'],
      ['team-a', 'waiting', 'enforce', 'userns/sudo', 'clean', 'down', 'start-failure'],
      [''],
    ]);
    expect(stderr).toMatch(/^6 pods in 1 namespace: 2 escapes, 1 wall missing\.\n2 pods: the pod has no mark of Cloister/);
  });

  test('--all prints every pod, and wide has more columns', async () => {
    const { stdout } = await scan('-n', 'team-a', '--all', '-o', 'wide');
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(7);
    expect(lines[0]).toMatch(/FINDINGS +NODE +RUNTIME CLASS +AGE +OWNER$/);
    expect(lines.find((line) => /^team-a +clean /.test(line))).toMatch(/worker-1 +<none> +\d+m +<none>$/);
  });

  test('--fail-on decides the exit status', async () => {
    const codeOf = async (...args: readonly string[]) => (await scan(...args)).code;
    expect(await codeOf('-n', 'team-b', '--fail-on', 'wall')).toBe(1);
    expect(await codeOf('-n', 'team-b', '--fail-on', 'escape')).toBe(0);
    expect(await codeOf('-n', 'team-a', '--fail-on', 'never')).toBe(0);
    // What warns or audits is not in force.
    expect(await codeOf('-n', 'team-c,team-e', '--fail-on', 'promise')).toBe(0);
  });
});

const PAGE = join(import.meta.dirname, '../../docs/scan.md');
const SHOWN = /(```console\n\$ cloister scan (.+)\n)([\s\S]*?)```/g;

test('docs/scan.md shows what the command prints (UPDATE_GOLDEN=1 writes it)', async () => {
  const page = await readFile(PAGE, 'utf8');
  const shown = [...page.matchAll(SHOWN)];
  expect(shown.length).toBeGreaterThan(1);
  let updated = page;
  for (const [whole, head = '', args = ''] of shown) {
    const { stdout, stderr } = await scan(...args.split(' '));
    const printed = `${stdout}${stdout === '' ? '' : '\n'}${stderr}`;
    updated = updated.replace(whole, () => `${head}${printed}\`\`\``);
  }
  if (process.env.UPDATE_GOLDEN === '1') await writeFile(PAGE, updated);
  else expect(page).toBe(updated);
});

describe('--profile', () => {
  test('judges pods that no profile governs, as if their namespace enforced it', async () => {
    const result = await scanned('-n', 'team-d', '--profile', 'userns', '--grant', 'none');
    expect(result.pods.map(({ name, mode, grant }) => `${name} ${mode} ${grant}`).toSorted()).toEqual([
      'opted-in preview none',
      'ungoverned preview none',
    ]);
    expect(rowsOf(result, 'team-d/ungoverned').join()).toContain('privileged');
  });

  test('with a selector, the pods of all namespaces are meant', async () => {
    const result = await scanned('-l', 'cloister.dev/profile', '--profile', 'kata-qemu');
    expect(result.pods.map(({ namespace, name, profile }) => `${namespace}/${name} ${profile}`)).toEqual(['team-d/opted-in kata-qemu']);
  });

  test.each([
    [['--profile', 'userns'], '--profile needs --namespace or --selector: name the pods that are judged by it'],
    [['--grant', 'none'], '--grant has no effect without --profile'],
    [['-n', 'kube-system'], '--namespace kube-system: Cloister never governs this namespace, and does not scan it'],
    [
      ['-n', 'team-d', '--profile', 'userms'],
      '--profile: profile "userms" is not configured in ConfigMap cloister-system/cloister-config (did you mean userns?); the configured profiles are: userns, gvisor, kata-qemu',
    ],
  ])('%j is a usage error', async (args, message) => {
    expect(await scan(...args)).toEqual({ code: 2, stdout: '', stderr: `error: ${message}\n` });
  });
});

describe('an incomplete scan', () => {
  test('a namespace that does not exist is named, and the others are printed', async () => {
    const { code, stdout, stderr } = await scan('-n', 'team-b,team-z', '--fail-on', 'never');
    expect(code).toBe(2);
    expect(stdout).toContain('handler-ordinary');
    expect(stderr).toMatch(/error: namespace team-z does not exist: check the name\nerror: the scan is incomplete\n$/);
  });

  test('a scan that does not end in time says so', async () => {
    const { code, stderr } = await scan('--timeout', '1ms');
    expect(code).toBe(2);
    expect(stderr).toContain('error: the scan did not end within 0.001 s: set a longer --timeout');
  });
});

interface Role {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules: readonly { readonly resources: readonly string[] }[];
}

/** A user with the roles that `--print-rbac` prints, but for one resource. */
async function userWith(name: string, flags: readonly string[], without?: string): Promise<Client> {
  const { stdout } = await cloister(['scan', '--print-rbac', ...flags]);
  const roles = parseAllDocuments(stdout).map((document) => document.toJS() as Role);
  const rbac = 'rbac.authorization.k8s.io';
  for (const { kind, metadata, rules } of roles) {
    const inNamespace = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
    const path = `/apis/${rbac}/v1${inNamespace}`;
    const kept = rules
      .map((rule) => ({ ...rule, resources: rule.resources.filter((resource) => resource !== without) }))
      .filter(({ resources }) => resources.length > 0);
    await cluster.create(`${path}/${kind.toLowerCase()}s`, {
      kind,
      apiVersion: `${rbac}/v1`,
      metadata: { ...metadata, name },
      rules: kept,
    });
    await cluster.create(`${path}/${kind.toLowerCase()}bindings`, {
      metadata: { name },
      roleRef: { apiGroup: rbac, kind, name },
      subjects: [{ apiGroup: rbac, kind: 'User', name }],
    });
  }
  return apiServer.client(name);
}

/** The authorizer sees a role a moment after it is stored: the scan is repeated until its output is as wanted, for ten seconds. */
async function eventually(client: Client, args: readonly string[], isWanted: (ran: Ran) => boolean): Promise<Ran> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const ran = await cloister(['scan', '--kubeconfig', client.kubeconfig, ...args]);
    if (isWanted(ran) || Date.now() > deadline) return ran;
  }
}

describe('with the rights that --print-rbac prints', () => {
  const OF_ALL: readonly string[] = [];
  const OF_SOME = ['-n', 'team-a,team-b', '--cloister-namespace', 'cloister-system'];

  test.each([
    ['the whole cluster', 'scanner-all', OF_ALL],
    ['named namespaces', 'scanner-some', OF_SOME],
  ])('a scan of %s works as with all rights', async (_, user, flags) => {
    const client = await userWith(user, flags);
    const all = await scan(...flags);
    const ran = await eventually(client, flags, ({ code }) => code === 1);
    expect(ran).toEqual(all);
  });

  test.each([
    ['namespaces', 2, /error: cannot list Namespace objects in all namespaces: .* cannot list resource "namespaces" .*--print-rbac/],
    ['pods', 2, /error: cannot list Pod objects in team-a: .* cannot list resource "pods" .*--print-rbac/],
    ['nodes', 1, /cannot list Node objects .* cannot list resource "nodes" .*: no wall is proven by the nodes\./],
    [
      'runtimeclasses',
      1,
      /cannot list RuntimeClass objects .* cannot list resource "runtimeclasses" .*: no wall of a RuntimeClass is proven\./,
    ],
    [
      'events',
      1,
      /cannot list Event objects in team-a: .* cannot list resource "events" .*: pods that do not start are named without a reason\./,
    ],
    ['configmaps', 2, /^error: cannot read ConfigMap cloister-system\/cloister-config: .* cannot get resource "configmaps" .*--print-rbac/],
    [
      'validatingwebhookconfigurations',
      2,
      /^error: cannot read ValidatingWebhookConfiguration cloister: .* cannot get resource "validatingwebhookconfigurations" .*--print-rbac/,
    ],
    ['endpointslices', 1, /could not be asked for their configuration: cannot list EndpointSlice .* cannot list resource "endpointslices"/],
  ])('without the right to read %s, the scan ends with %i and names it', async (resource, status, message) => {
    const client = await userWith(`without-${resource}`, OF_ALL, resource);
    const { code, stderr } = await eventually(
      client,
      [],
      (ran) => message.test(ran.stderr) && ran.stderr.split('cannot list resource').length < 9,
    );
    expect(stderr).toMatch(message);
    expect(code).toBe(status);
  });

  test('a namespace whose pods are forbidden does not hide the others', async () => {
    const client = await userWith('only-team-b', ['-n', 'team-b', '--cloister-namespace', 'cloister-system']);
    await cluster.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
      metadata: { name: 'only-team-b-names' },
      rules: [{ apiGroups: [''], resources: ['namespaces'], verbs: ['list'] }],
    });
    await cluster.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'only-team-b-names' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'only-team-b-names' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'only-team-b' }],
    });
    const flags = ['-n', 'team-a,team-b', '--cloister-namespace', 'cloister-system'];
    const { code, stdout, stderr } = await eventually(client, flags, ({ stdout: out }) => out.includes('handler-ordinary'));
    expect(code).toBe(2);
    expect(stdout).toMatch(/^team-b +plain .* handler-ordinary$/m);
    expect(stderr).toMatch(/error: cannot list Pod objects in team-a: /);
    expect(stderr).toMatch(/error: the scan is incomplete\n$/);
  });
});

describe('many pods', () => {
  const COUNT = 320;

  beforeAll(async () => {
    await apiServer.createNamespace('many', { 'cloister.dev/audit': 'userns' });
    const names = Array.from({ length: COUNT }, (_, index) => `ws-${String(index).padStart(3, '0')}`);
    const work = async (): Promise<void> => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) await cluster.createPod('many', pod(name, WALLED));
    };
    await Promise.all(Array.from({ length: 8 }, work));
  }, 120_000);

  test('are read page by page, each once', async () => {
    const result = await scanned('-n', 'many', '--page-size', '50');
    const names = result.pods.map(({ name }) => name);
    expect(new Set(names).size).toBe(COUNT);
    expect(names).toHaveLength(COUNT);
    expect(result.summary).toMatchObject({ pods: COUNT, namespaces: 1, inconsistent: false });
    const uri = '/api/v1/namespaces/many/pods?';
    const lists = (await apiServer.auditLog()).filter(({ verb, requestURI }) => verb === 'list' && requestURI.startsWith(uri));
    expect(lists).toHaveLength(Math.ceil(COUNT / 50));
    for (const { requestURI } of lists) {
      expect(requestURI).toContain('limit=50');
      expect(requestURI).not.toContain('resourceVersion');
    }
  });

  test('from twenty governed namespaces on, one list reads the pods of all', async () => {
    for (let index = 0; index < 20; index += 1) await apiServer.createNamespace(`by-name-x${index}`);
    const before = (await apiServer.auditLog()).length;
    const result = await scanned();
    expect(rowsOf(result, 'by-name-1/by-name')).toEqual(['enforce clean stands: ']);
    expect(rowsOf(result, 'team-d/opted-in')).toEqual(['opt-in clean stands: ']);
    expect(rowsOf(result, 'team-d/ungoverned')).toEqual([]);
    expect(result.pods.filter(({ namespace }) => namespace === 'many')).toHaveLength(COUNT);
    const lists = (await apiServer.auditLog())
      .slice(before)
      .filter(({ verb, objectRef }) => verb === 'list' && objectRef?.resource === 'pods');
    expect(lists.every(({ requestURI }) => requestURI.startsWith('/api/v1/pods?'))).toBe(true);
    expect(lists).toHaveLength(4);
  });
});
