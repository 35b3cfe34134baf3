import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cloister } from '../support/run.ts';

const CLEAN = `apiVersion: v1
kind: Pod
metadata: {name: clean}
spec:
  hostUsers: false
  securityContext: {seccompProfile: {type: RuntimeDefault}}
  containers: [{name: a, image: b}]
`;

let folder = '';
const config = (): string => join(folder, 'config.yaml');
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-check-'));
  await writeFile(
    config(),
    `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles:
  userns: {}
  kata-qemu: {}
exemptions:
- {reason: mesh, expires: 2099-01-01, namespaces: [team-a], serviceAccounts: ['*'], allow: {capabilities: [NET_ADMIN]}}
`,
  );
});
afterAll(() => rm(folder, { recursive: true }));

describe('exit status', () => {
  test('check exits with 0 if no pod would be denied; a promise is a hint', async () => {
    const { code, stdout, stderr } = await cloister(['check', '-f', '-'], CLEAN);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('promise  privilege-escalation');
    expect(stdout).toContain('1 pod, none refused');
  });
  test.each([
    ['there is no volume at the path of the profile', '{grant: containers}', 'spec.volumes: nothing is mounted at /var/lib/containers'],
    ['there is no volume at all', '{grant: containers, storage: []}', 'container "a" has no mount that could hold the images'],
  ])('check exits with 0 and hints that nested containers have no storage for images where %s', async (_, options, hint) => {
    const file = join(folder, 'containers.yaml');
    await writeFile(file, `apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: ${options}}\n`);
    const { code, stdout } = await cloister(['check', '-f', '-', '--config', file], CLEAN);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`promise  image-storage  .*${RegExp.escape(hint)}.*; mount an emptyDir`));
  });
  test('check exits with 1 if a pod would be denied', async () => {
    const { code, stdout } = await cloister(['check', '-f', '-'], `${CLEAN}---\n${CLEAN.replace('hostUsers: false', 'hostPID: true')}`);
    expect(code).toBe(1);
    expect(stdout).toContain('spec.hostPID: hostPID is true; remove it');
    expect(stdout).toContain('2 pods, 1 refused as written');
  });
  test.each([
    ['bad YAML', ['-f', '-'], 'a: [', '-:1:5: '],
    ['a missing file', ['-f', 'none.yaml'], '', 'none.yaml: there is no such file or folder; check the name'],
    ['no file', [], '', "error: required option '-f, --filename <file...>' not specified"],
    [
      'an unknown profile',
      ['-f', '-', '--profile', 'kata'],
      CLEAN,
      '-:1: --profile: profile "kata" is not configured; the configured profiles are: userns',
    ],
    ['an unknown format', ['-f', '-', '-o', 'xml'], CLEAN, "error: option '-o, --output <format>' argument 'xml' is invalid"],
    [
      'a missing configuration',
      ['-f', '-', '--config', 'none.yaml'],
      CLEAN,
      'none.yaml cannot be read: there is no such file or folder; check the name',
    ],
  ])('check exits with 2 for %s', async (_, args, input, message) => {
    const { code, stdout, stderr } = await cloister(['check', ...args], input);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
  });
});

describe('the profile', () => {
  test('the profile is that of the label of the pod', async () => {
    const labelled = CLEAN.replace('{name: clean}', '{name: clean, labels: {cloister.dev/profile: kata-qemu}}');
    const { code, stdout } = await cloister(['check', '-f', '-', '--config', config()], labelled);
    expect(code).toBe(1);
    expect(stdout).toContain('refused under profile kata-qemu');
  });
  test('the profile must be named where several are configured and the pod has no label', async () => {
    const { code, stderr } = await cloister(['check', '-f', '-', '--config', config()], CLEAN);
    expect(code).toBe(2);
    expect(stderr).toBe(
      'error: -:1: no profile is named to judge by: set --profile, or label the pod cloister.dev/profile; the configured profiles are: userns, kata-qemu\n',
    );
  });
  test('a label with a profile that is not configured is a finding where only one profile is configured', async () => {
    const labelled = CLEAN.replace('{name: clean}', '{name: clean, labels: {cloister.dev/profile: kata}}');
    const { code, stdout } = await cloister(['check', '-f', '-'], labelled);
    expect(code).toBe(1);
    expect(stdout).toContain('profile "kata" is not configured; remove the label, or set it to userns');
  });
});

test('exemptions apply by namespace, and are in the report', async () => {
  const meshed = CLEAN.replace('image: b', 'image: b, securityContext: {capabilities: {add: [NET_ADMIN]}}');
  const args = ['check', '-f', '-', '--config', config(), '--profile', 'userns', '-o', 'json'];
  const [exempt, other] = await Promise.all([cloister([...args, '--namespace', 'team-a'], meshed), cloister(args, meshed)]);
  expect([exempt.code, other.code]).toEqual([0, 1]);
  expect(JSON.parse(exempt.stdout).pods[0].exempted).toEqual([{ rule: 'capabilities', value: 'NET_ADMIN', reason: 'mesh' }]);
});

test('the JSON report has the line of each finding', async () => {
  const { stdout } = await cloister(['check', '-f', '-', '-o', 'json'], CLEAN.replace('hostUsers: false', 'hostPID: true'));
  const [{ findings }] = JSON.parse(stdout).pods;
  expect(findings.find(({ rule }: { rule: string }) => rule === 'host-namespaces')).toMatchObject({ path: 'spec.hostPID', line: 5 });
});

test('output into a pipe has no colours', async () => {
  const { stdout } = await cloister(['check', '-f', '-'], CLEAN, { NO_COLOR: undefined, FORCE_COLOR: undefined });
  expect(stdout).not.toContain('\u001b');
});
