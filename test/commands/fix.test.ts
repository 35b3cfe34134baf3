import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadPolicySettings } from '../../src/commands/shared/policy-settings.ts';
import { judgeSource } from '../../src/judging/judge-source.ts';
import { differenceOf, type RepairedPod, repairPod } from '../../src/judging/repair-source.ts';
import { readText } from '../../src/manifests/read.ts';
import { cloister } from '../support/run.ts';

const BROKEN = `# a workspace
apiVersion: v1
kind: Pod
metadata: {name: ws}
spec:
  hostPID: true # once needed
  containers:
  - {name: a, image: b}   # the one
`;
const FIXED = `# a workspace
apiVersion: v1
kind: Pod
metadata: {name: ws}
spec:
  containers:
  - {name: a, image: b, securityContext: {allowPrivilegeEscalation: true}}   # the one
  hostUsers: false
  securityContext:
    seccompProfile:
      type: RuntimeDefault
`;
const SERVICE = 'apiVersion: v1\nkind: Service   # untouched\nmetadata: {name:   ws}\n';
/** A key that is written with `?`. */
const UNEDITABLE = BROKEN.replace('hostPID: true', '? hostPID\n  : true');
const STUCK = BROKEN.replace('hostPID: true', 'nodeName: node-0');

async function repairedIn(text: string): Promise<RepairedPod[]> {
  const flags = { namespace: 'default', ignore: [] };
  const now = new Date();
  const [settings, read] = [await loadPolicySettings(flags, now), readText('x.yaml', text)];
  if (!settings.ok || !('source' in read)) throw new Error(JSON.stringify([settings, read]));
  return judgeSource(read.source, { settings: settings.value, namespace: flags.namespace, now }).pods.map((each) => ({
    ...each,
    repair: repairPod(each),
  }));
}

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-fix-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('fix prints the whole stream, and objects without a pod unchanged', async () => {
  expect(await cloister(['fix', '-f', '-'], `${SERVICE}---\n${BROKEN}`)).toEqual({
    code: 0,
    stdout: `${SERVICE}---\n${FIXED}`,
    stderr: '',
  });
});

test('fix prints a clean manifest unchanged, and fixes nothing twice', async () => {
  const clean = FIXED.replace('metadata: {name: ws}', 'metadata: {name: "ws"} #  odd   spaces');
  expect(await cloister(['fix', '-f', '-'], clean)).toEqual({ code: 0, stdout: clean, stderr: '' });
});

test('fix prints several files as one stream', async () => {
  const [a, b] = [join(folder, 'a.yaml'), join(folder, 'b.yaml')];
  await Promise.all([writeFile(a, SERVICE.trimEnd()), writeFile(b, BROKEN)]);
  expect((await cloister(['fix', '-f', a, b])).stdout).toBe(`${SERVICE}---\n${FIXED}`);
});

describe('a pod that a person must change', () => {
  test('a pod that a person must change is printed unchanged, the others are fixed, and standard error says what to change', async () => {
    const { code, stdout, stderr } = await cloister(['fix', '-f', '-'], `${STUCK}---\n${BROKEN}`);
    expect(code).toBe(1);
    expect(stdout).toBe(`${STUCK}---\n${FIXED}`);
    expect(stderr).toBe(
      '-: Pod ws is unchanged; fix by hand first:\n  -:6:3: node-name: spec.nodeName: nodeName is node-0; remove it; use nodeSelector or affinity to select nodes\n',
    );
  });
});

test('--diff prints a unified diff', async () => {
  const { code, stdout } = await cloister(['fix', '-f', '-', '--diff'], BROKEN);
  expect(code).toBe(0);
  expect(stdout).toBe(`--- -
+++ -
@@ -3,6 +3,9 @@
 kind: Pod
 metadata: {name: ws}
 spec:
-  hostPID: true # once needed
   containers:
-  - {name: a, image: b}   # the one
+  - {name: a, image: b, securityContext: {allowPrivilegeEscalation: true}}   # the one
+  hostUsers: false
+  securityContext:
+    seccompProfile:
+      type: RuntimeDefault
`);
});

test('-o json-patch prints a list with the operations of each object', async () => {
  const list = JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'ws' }, spec: { hostIPC: true } }],
  });
  const { stdout } = await cloister(['fix', '-f', '-', '-o', 'json-patch'], list);
  expect(JSON.parse(stdout)).toEqual([
    {
      ...{ file: '-', line: 1, kind: 'Pod', name: 'ws', namespace: 'default', profile: 'userns', grant: 'sudo', mode: 'enforce' },
      patch: [
        { op: 'add', path: '/spec/hostUsers', value: false },
        { op: 'remove', path: '/spec/hostIPC' },
      ],
    },
  ]);
});

test('--write writes the files that change', async () => {
  const [broken, other] = [join(folder, 'broken.yaml'), join(folder, 'service.yaml')];
  await Promise.all([writeFile(broken, BROKEN), writeFile(other, SERVICE)]);
  expect(await cloister(['fix', broken, other, '--write'])).toEqual({ code: 0, stdout: `${broken}: fixed\n`, stderr: '' });
  expect(await cloister(['fix', broken, '--write'])).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(await Promise.all([readFile(broken, 'utf8'), readFile(other, 'utf8')])).toEqual([FIXED, SERVICE]);
});

test('--write fixes more files than the process may open, and leaves no other file', async () => {
  const many = join(folder, 'many');
  await mkdir(many);
  const files = Array.from({ length: 300 }, (_, index) => join(many, `${index}.yaml`));
  for (const file of files) await writeFile(file, BROKEN);
  const command = `ulimit -n 128 && exec "${process.execPath}" src/main.ts fix --write --quiet "${many}"`;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  expect([status, stdout, stderr]).toEqual([0, '', '']);
  expect(await Promise.all(files.map((file) => readFile(file, 'utf8')))).toEqual(files.map(() => FIXED));
  expect((await readdir(many)).length).toBe(files.length);
}, 60_000);

test('a file that is stopped in the middle of --write is never torn', async () => {
  const torn = join(folder, 'torn');
  await mkdir(torn);
  const large = `${BROKEN.trimEnd()}\n${'# filler\n'.repeat(200_000)}`;
  const files = ['a', 'b', 'c'].map((name) => join(torn, `${name}.yaml`));
  for (const file of files) await writeFile(file, large);
  const child = spawn(process.execPath, ['src/main.ts', 'fix', '--write', torn], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  const sizes = await Promise.all(files.map(async (file) => (await readFile(file, 'utf8')).length));
  const fixed = large.length + FIXED.length - BROKEN.length;
  expect(sizes[0]).toBe(fixed);
  for (const size of sizes) expect([large.length, fixed]).toContain(size);
});

test('a pod in a custom resource is fixed, and one that is mixed with other fields is left to a person', async () => {
  const template = (field: string, indent: string): string =>
    `apiVersion: a.b/v1\nkind: X\nmetadata: {name: ws}\nspec:\n  ${field}:\n${BROKEN.slice(BROKEN.indexOf('spec:')).replace(/^(?=.)/gm, indent)}`;
  const { code, stdout, stderr } = await cloister(['fix', '-'], template('podTemplate', '    '));
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toBe(
    template('podTemplate', '    ')
      .replace(/ +hostPID.*\n/, '')
      .replace('image: b}', 'image: b, securityContext: {allowPrivilegeEscalation: true}}') +
      FIXED.slice(FIXED.indexOf('  hostUsers')).replace(/^(?=.)/gm, '    '),
  );
  const mixed = 'apiVersion: a.b/v1\nkind: Prometheus\nmetadata: {name: ws}\nspec:\n  replicas: 2\n  containers: [{name: a, image: b}]\n';
  const other = await cloister(['fix', '-'], mixed);
  expect([other.code, other.stdout]).toEqual([1, mixed]);
  expect(other.stderr).toContain('-: Prometheus ws is unchanged; fix by hand first:\n  -:1:1: user-namespace: spec.hostUsers');
});

test('-o json-patch of two pods in one object has paths that start at the object', async () => {
  const cluster =
    'apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: ray}\nspec:\n  head: {template: {spec: {hostPID: true, containers: [{name: a, image: b}]}}}\n  workers:\n  - template: {spec: {hostIPC: true, containers: [{name: a, image: b}]}}\n';
  const [patches, fixed] = await Promise.all([cloister(['fix', '-', '-o', 'json-patch'], cluster), cloister(['fix', '-'], cluster)]);
  const operations = (JSON.parse(patches.stdout) as { patch: Operation[] }[]).flatMap(({ patch }) => patch);
  expect(jsonPatch.applyPatch(parse(cluster), operations, true).newDocument).toEqual(parse(fixed.stdout));
  expect(parse(fixed.stdout).spec.workers[0].template.spec).toMatchObject({ hostUsers: false });
  expect(fixed.stdout).not.toMatch(/hostPID|hostIPC/);
});

test('a repair leaves no emptied maps and lists, and no comment about what is gone', async () => {
  const text = BROKEN.replace(
    '{name: ws}',
    '\n  name: ws\n  annotations:\n    # for the debugger\n    io.kubernetes.cri-o.Devices: /dev/kvm',
  ).replace(
    '- {name: a, image: b}   # the one',
    '- name: a\n    image: b\n    securityContext:\n      capabilities:\n        # to mount\n        add: [SYS_ADMIN]\n      runAsUser: 0',
  );
  const { code, stdout } = await cloister(['fix', '-'], text);
  expect(code).toBe(0);
  expect(stdout).not.toMatch(/annotations|add|capabilities|debugger|to mount/);
  expect(stdout).toContain('    securityContext:\n      runAsUser: 0\n');
});

test('fix adds no annotation of the webhook: that marks stored pods', async () => {
  expect((await cloister(['fix', '-f', '-'], BROKEN)).stdout).not.toContain('profile-applied');
});

describe('exit status 2', () => {
  test.each([
    ['bad YAML', ['-f', '-'], 'a: 1\na: 2\n', 'error: -:2:1: the key a occurs twice; keep one of them\n'],
    ['--write with standard input', ['-f', '-', '--write'], BROKEN, 'error: --write cannot write to standard input: name files\n'],
    [
      '--diff with patches',
      ['-f', '-', '--diff', '-o', 'json-patch'],
      BROKEN,
      "error: option '--diff' cannot be used with option '-o, --output <format>'\n",
    ],
    [
      'keys that cannot be edited',
      ['-f', '-'],
      UNEDITABLE,
      expect.stringMatching(/^error: -: the file cannot be fixed in place, and is unchanged: /),
      UNEDITABLE,
    ],
  ])('fix exits with 2 for %s', async (_, args, input, message, stdout = '') => {
    expect(await cloister(['fix', ...args], input)).toEqual({ code: 2, stdout, stderr: message });
  });

  test('a file that cannot be fixed in place is printed unchanged, and the others are fixed', async () => {
    const files = ['0.yaml', '1.yaml', '2.yaml'].map((name) => join(folder, name));
    for (const [index, text] of [BROKEN, UNEDITABLE, BROKEN].entries()) await writeFile(files[index] ?? '', text);
    const { code, stdout } = await cloister(['fix', ...files]);
    expect([code, stdout]).toEqual([2, [FIXED, UNEDITABLE, FIXED].join('---\n')]);
    expect(await cloister(['fix', '--write', ...files])).toMatchObject({ code: 2, stdout: `${files[0]}: fixed\n${files[2]}: fixed\n` });
    expect(await Promise.all(files.map((file) => readFile(file, 'utf8')))).toEqual([FIXED, UNEDITABLE, FIXED]);
  });

  test('--write refuses a pipe at once, without waiting for its other end', async () => {
    const pipe = join(folder, 'pipe.yaml');
    execFileSync('mkfifo', [pipe]);
    expect(await cloister(['fix', '--write', pipe])).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: --write cannot write to ${pipe}, which is a pipe or a device: name files\n`,
    });
  }, 20_000);

  test('--write leaves a file with several hard links as it is, and writes the others', async () => {
    const [file, other, single] = [join(folder, 'hard.yaml'), join(folder, 'hard-too.yaml'), join(folder, 'single.yaml')];
    await writeFile(file, BROKEN);
    await link(file, other);
    await writeFile(single, BROKEN);
    const { code, stdout, stderr } = await cloister(['fix', '--write', file, single]);
    expect([code, stdout]).toEqual([2, `${single}: fixed\n`]);
    expect(stderr).toContain(`error: ${file}: the file has 2 names (hard links)`);
    expect(await Promise.all([file, other].map((each) => readFile(each, 'utf8')))).toEqual([BROKEN, BROKEN]);
  });
});

test('the documents above a template are fixed, and the rest of the file stays as it is', async () => {
  const rest = '---\n{{- if .Values.more }}\nkind: Pod\n{{- end }}\n';
  expect(await cloister(['fix', '-'], BROKEN + rest)).toEqual({
    code: 0,
    stdout: FIXED + rest,
    stderr:
      '-:10:1: the rest of the file, from here, is a template that is not rendered; render it first, for example with `helm template`; the rest of the file is skipped\n',
  });
});

describe('the check of a fixed text', async () => {
  const repaired = await repairedIn(BROKEN);

  test.each([
    ['the text that was fixed', FIXED, undefined],
    [
      'a text with another value',
      FIXED.replace('image: b', 'image: c'),
      'the value of the fixed text differs from the fixed object of line 2',
    ],
    ['a text without the pod', SERVICE, 'the value of the fixed text differs from the fixed object of line 2'],
    ['a text that cannot be read', `${FIXED}: :`, 'the fixed text cannot be read'],
  ])('the check of a fixed text finds what is wrong: %s', (_, text, difference) => {
    expect(differenceOf('x.yaml', text, repaired)).toBe(difference);
  });
});

test('fix fixes by the profile that the configuration gives to the namespace, and says so on standard error', async () => {
  const config = join(folder, 'governs.yaml');
  await writeFile(
    config,
    'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {}, gvisor: {}}\ngoverns: [{namespaces: ["*-che"], enforce: gvisor}]\n',
  );
  const { code, stdout, stderr } = await cloister(['fix', '-f', '-', '--config', config, '-n', 'dev-che'], BROKEN);
  expect([code, stderr]).toEqual([0, `namespace dev-che: judged by profile gvisor, grant sudo (from governs[0] (*-che) of ${config})\n`]);
  expect(stdout).toContain('runtimeClassName: gvisor');
  expect(await cloister(['fix', '-', '--quiet', '--config', config, '-n', 'dev-che'], BROKEN)).toEqual({ code, stdout, stderr: '' });
});
