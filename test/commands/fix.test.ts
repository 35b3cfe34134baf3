import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
const STUCK = BROKEN.replace('hostPID: true', 'nodeName: node-0');

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
      '-: Pod ws is unchanged; fix by hand first:\n  -:6: node-name: spec.nodeName: nodeName is node-0; remove it; use nodeSelector or affinity to select nodes\n',
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
  expect(await cloister(['fix', '-f', broken, other, '--write'])).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(await Promise.all([readFile(broken, 'utf8'), readFile(other, 'utf8')])).toEqual([FIXED, SERVICE]);
});

test('fix adds no annotation of the webhook: that marks stored pods', async () => {
  expect((await cloister(['fix', '-f', '-'], BROKEN)).stdout).not.toContain('profile-applied');
});

describe('exit status 2', () => {
  test.each([
    ['bad YAML', ['-f', '-'], 'a: 1\na: 2\n', 'error: -:2:1: the key a is here twice; keep one of them\n'],
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
      BROKEN.replace('hostPID: true', '? hostPID\n  : true'),
      expect.stringMatching(/^error: -: the file cannot be fixed in place: /),
    ],
  ])('fix exits with 2 for %s', async (_, args, input, message) => {
    expect(await cloister(['fix', ...args], input)).toEqual({ code: 2, stdout: '', stderr: message });
  });
});

test('fix fixes by the profile that the configuration gives to the namespace, and says so on standard error', async () => {
  const config = join(folder, 'governs.yaml');
  await writeFile(
    config,
    'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {}, gvisor: {}}\ngoverns: [{namespaces: ["*-che"], enforce: gvisor}]\n',
  );
  const { code, stdout, stderr } = await cloister(['fix', '-f', '-', '--config', config, '-n', 'dev-che'], BROKEN);
  expect([code, stderr]).toEqual([
    0,
    'namespace dev-che: judged by profile gvisor in mode enforce, because governs[0] (*-che) of the configuration governs the namespace\n',
  ]);
  expect(stdout).toContain('runtimeClassName: gvisor');
});
