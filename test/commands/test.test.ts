import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { validateXML } from 'xmllint-wasm';
import { cloister } from '../support/run.ts';

const HEAD = 'apiVersion: cloister.dev/v1alpha1\nkind: PolicyTest\n';
const POD = 'apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {SPEC, containers: [{name: a, image: b}]}\n';
const pod = (name: string, spec: string): string => POD.replace('NAME', name).replace('SPEC', spec);
const inline = (spec: string): string =>
  `pod: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {${spec}, containers: [{name: a, image: b}]}}`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-test-'));
  await mkdir(join(folder, 'pods'));
  await writeFile(join(folder, 'pods/two.yaml'), `${pod('one', 'hostPID: true')}---\n${pod('two', 'nodeName: n1')}`);
  await writeFile(join(folder, 'config.yaml'), 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {gvisor: {grant: none}}\n');
});
afterAll(() => rm(folder, { recursive: true }));

async function run(tests: string, ...args: string[]) {
  await writeFile(join(folder, 'tests.yaml'), HEAD + tests);
  const { code, stdout, stderr } = await cloister(['test', folder, ...args]);
  return { code, stdout: stdout.replaceAll(`${folder}/`, ''), stderr: stderr.replaceAll(`${folder}/`, '') };
}

test('the tests of a folder run, and files of other kinds are left out', async () => {
  expect(
    await run(
      `tests:\n- {name: it pins, expect: {verdict: refused, findings: [node-name], absent: [host-namespaces]}, ${inline('nodeName: n1')}}\n`,
    ),
  ).toEqual({
    code: 0,
    stdout: 'pass  tests.yaml: it pins\n\n1 test: 1 passed, 0 failed\n',
    stderr: '',
  });
});

test('a test that fails says what is different, for each pod', async () => {
  const { code, stdout } = await run(
    'config: config.yaml\ntests:\n- {name: both, file: pods/two.yaml, expect: {verdict: repairable, findings: [node-name], absent: [runtime-class]}}\n',
  );
  expect(code).toBe(1);
  expect(stdout).toBe(`FAIL  tests.yaml: both
      Pod one has no finding of node-name
      Pod one has a finding of runtime-class
      Pod two is refused, and repairable is expected
      Pod two has a finding of runtime-class

1 test: 0 passed, 1 failed
`);
});

test('profile, grant and namespace are those of the test', async () => {
  const clean = 'hostUsers: false, securityContext: {seccompProfile: {type: RuntimeDefault}}';
  const { stdout } = await run(
    `tests:\n- {name: a, grant: none, expect: {verdict: repairable}, ${inline(clean)}}\n- {name: b, profile: gvisor, expect: {verdict: repairable, findings: [runtime-class]}, ${inline(clean)}}\n- {name: c, profile: gvisr, expect: {verdict: clean}, ${inline(clean)}}\n`,
  );
  expect(stdout).toMatch(
    /^pass .*: a\npass .*: b\nFAIL .*: c\n {6}--profile: there is no built-in profile "gvisr" \(did you mean gvisor\?\)/,
  );
});

test('-o junit conforms to the schema of Jenkins', async () => {
  const { code, stdout } = await run(`tests:\n- {name: <a>, expect: {verdict: clean}, ${inline('nodeName: n1')}}\n`, '-o', 'junit');
  expect(code).toBe(1);
  expect(stdout).toContain(
    '<testcase classname="tests.yaml" name="&lt;a&gt;">\n      <failure type="unexpected" message="Pod a is refused, and clean is expected">',
  );
  const schema = readFileSync(join(import.meta.dirname, '../fixtures/junit/jenkins-junit.xsd'), 'utf8');
  expect((await validateXML({ xml: [{ fileName: 'report.xml', contents: stdout }], schema: [schema] })).errors).toEqual([]);
});

describe('exit status 2', () => {
  test.each([
    ['no test', 'tests: []\n', 'tests.yaml: tests: must have at least one test'],
    [
      'an unknown rule',
      'tests: [{name: a, file: b, expect: {verdict: clean, findings: [root]}}]\n',
      'tests[0].expect.findings[0]: must be the id of a rule',
    ],
    ['an unknown key', 'tests: [{name: a, files: b, expect: {verdict: clean}}]\n', 'tests[0].files: is unknown (did you mean file?)'],
    ['neither a file nor a pod', 'tests: [{name: a, expect: {verdict: clean}}]\n', 'tests[0]: must have either file or pod'],
    [
      'an unknown verdict',
      'tests: [{name: a, file: b, expect: {verdict: fine}}]\n',
      'tests[0].expect.verdict: must be clean, repairable or refused',
    ],
  ])('the command exits with 2 for %s', async (_, tests, problem) => {
    const { code, stderr } = await run(tests);
    expect([code, stderr]).toEqual([2, expect.stringContaining(problem)]);
  });

  test('a folder without tests is an error', async () => {
    const { code, stderr } = await cloister(['test', join(folder, 'pods')]);
    expect([code, stderr]).toEqual([2, 'error: there is no file of kind PolicyTest: `cloister schema test` prints its schema\n']);
  });
});

test('a file of a test that is not there fails the test', async () => {
  const { code, stdout } = await run('tests: [{name: a, file: none.yaml, expect: {verdict: clean}}]\n');
  expect([code, stdout]).toEqual([1, expect.stringContaining('none.yaml: there is no such file or folder; check the name')]);
});

test('a pod that nothing governs fails the test, also beside a pod that is as expected', async () => {
  await writeFile(
    join(folder, 'governs.yaml'),
    'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {}}\ngoverns: [{namespaces: [ws], enforce: userns}]\n',
  );
  const refused = pod('one', 'nodeName: n1');
  await writeFile(
    join(folder, 'pods/mixed.yaml'),
    `${refused.replace('{name: one}', '{name: one, namespace: ws}')}---\n${refused.replace('{name: one}', '{name: one, namespace: kube-system}')}`,
  );
  const { code, stdout } = await run(
    `config: governs.yaml\ntests:\n- {name: alone, namespace: kube-system, expect: {verdict: refused}, ${inline('nodeName: n1')}}\n- {name: mixed, file: pods/mixed.yaml, expect: {verdict: refused}}\n- {name: empty, file: config.yaml, expect: {verdict: refused}}\n`,
  );
  const ungoverned =
    '1 pod is not judged, because nothing governs the namespace: set `profile` or another `namespace` in the test, or govern it in the configuration';
  expect([code, stdout]).toEqual([
    1,
    `FAIL  tests.yaml: alone\n      ${ungoverned}\nFAIL  tests.yaml: mixed\n      ${ungoverned}\nFAIL  tests.yaml: empty\n      there is no pod to judge\n\n3 tests: 0 passed, 3 failed\n`,
  ]);
});

test('the tests in examples pass', async () => {
  expect((await cloister(['test', 'examples/policy-tests'])).stdout).toMatch(/\n3 tests: 3 passed, 0 failed\n$/);
});
