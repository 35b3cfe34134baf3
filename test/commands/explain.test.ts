import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { printPage } from '../../src/commands/shared/terminal-page.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { rules } from '../../src/core/rules/index.ts';
import { checks } from '../../src/doctor/checks/index.ts';
import { wallChecks } from '../../src/live/checks/index.ts';
import { cloister } from '../support/run.ts';

const docs = join(import.meta.dirname, '../../docs');

test('explain without an argument lists every rule, every profile and every check of scan', async () => {
  const { code, stdout } = await cloister(['explain']);
  expect(code).toBe(0);
  const lines = stdout.split('\n').map((line) => line.trim().replace(/ +/, ': '));
  for (const { id, summary } of [...rules, ...backends, ...wallChecks, ...checks]) expect(lines).toContain(`${id}: ${summary}`);
});

test.each([
  ['a rule', 'volume-types', 'rules/volume-types.md'],
  ['a profile', 'kata-qemu', 'profiles/kata-qemu.md'],
  ['a check of scan', 'start-failure', 'checks/start-failure.md'],
])('explain prints the page of %s', async (_, name, page) => {
  expect(await cloister(['explain', name])).toEqual({
    code: 0,
    stdout: printPage(await readFile(join(docs, page), 'utf8'), 80),
    stderr: '',
  });
});

test('explain sysbox quotes the errors of engines that cannot run there, and names the settings of the node that its pods change', async () => {
  const { stdout } = await cloister(['explain', 'sysbox']);
  for (const said of [
    "kernel does not support overlay fs: 'overlay' is not supported over extfs",
    'crun: mount `proc` to `proc`: Invalid argument',
    'crun: mount `/sys` to `sys`: Invalid argument',
    'crun: open_tree `/sys`: Operation not permitted',
    'crun: umount `/sys`: Device or resource busy',
    'Rootless engines',
    'fs.file-max',
    'net.unix.max_dgram_qlen',
  ]) {
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(said);
  }
});

test('explain prints what a configured profile extends, and the page of its backend', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-explain-'));
  const config = join(folder, 'config.yaml');
  await writeFile(
    config,
    'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles:\n  kata-qemu: {mayChoose: [kata-team-a]}\n  kata-team-a: {extends: kata-qemu, runtimeClassName: kata-a, grant: containers}\n',
  );
  const [{ stdout }, list] = await Promise.all([
    cloister(['explain', 'kata-team-a', '--config', config]),
    cloister(['explain', '--config', config]),
  ]);
  await rm(folder, { recursive: true });
  expect(stdout).toMatch(/^In this configuration, kata-team-a extends kata-qemu, grants containers, runs on runtime class kata-a\.\n\n/);
  expect(stdout).toContain(printPage(await readFile(join(docs, 'profiles/kata-qemu.md'), 'utf8'), 80));
  expect(list.stdout).toMatch(/Profiles of this configuration:\n {2}kata-team-a +extends kata-qemu/);
});

test('explain lists the namespaces that a configuration governs by name, in the order in which they match', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-explain-'));
  const explain = async (name: string, governance: string) => {
    const config = join(folder, name);
    await writeFile(config, `apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {}, gvisor: {}}\n${governance}`);
    return (await cloister(['explain', '--config', config])).stdout;
  };
  const [governed, byDefault, none] = await Promise.all([
    explain('governed', 'governs: [{namespaces: [gl-rd-ns-*, lab], enforce: userns, audit: gvisor}]\n'),
    explain('default', 'default: {enforce: userns, except: [monitoring]}\n'),
    explain('none', 'excludedNamespaces: [storage-system]\n'),
  ]);
  await rm(folder, { recursive: true });
  const title = 'Namespaces without a label of Cloister, by their names; the first line that matches counts:\n';
  expect(governed).toContain(`${title}  gl-rd-ns-*, lab: enforce userns, audit gvisor\n  every other namespace: not governed\n`);
  expect(byDefault).toContain(`${title}  monitoring: not governed\n  every other namespace: enforce userns\n`);
  expect(none).not.toContain(title);
  expect(none).toContain('Namespaces that nothing governs, not even a label: storage-system\n');
});

test('explain suggests a name for an unknown one', async () => {
  const { code, stdout, stderr } = await cloister(['explain', 'volume-tyeps']);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toBe(
    'error: there is no rule, profile or check "volume-tyeps" (did you mean volume-types?): `cloister explain` lists them\n',
  );
});

test.each([
  ['hostUsers', 'for the field, use `cloister explain spec.hostUsers`'],
  ['hostAliases', 'for the field, use `cloister explain spec.hostAliases`'],
  ['hostPath', 'write a field with its full path, such as spec.hostUsers'],
])('explain %s names the way to a field', async (name, remedy) => {
  expect(await cloister(['explain', name])).toEqual({
    code: 2,
    stdout: '',
    stderr: `error: there is no rule, profile or check "${name}": \`cloister explain\` lists them; ${remedy}\n`,
  });
});

describe('a field of a pod', () => {
  test.each([
    ['a field that no rule judges', 'spec.hostAliases', /^No rule judges spec\.hostAliases\. [A-Z][\s\S]*\.\n$/],
    [
      'a field below one that no rule judges',
      'spec.volumes[3].secret.items',
      /^No rule judges spec\.volumes\[\*\]\.secret\.items\.\n\nNot judged: /,
    ],
    ['a field that a rule judges', 'spec.hostPID', /^Rules that judge spec\.hostPID:\n {2}host-namespaces {2}.*\n$/],
    ['a field of an init container', 'spec.initContainers[0].securityContext.privileged', /\n {2}privileged {2}/],
    ['a field below one that a rule judges', 'spec.volumes[0].hostPath.path', /^Rules that judge .*:\n {2}volume-types {2}.*\n$/],
    [
      'a field with judged and other fields in it',
      'spec.containers[*].lifecycle',
      /\n {2}probe-hosts {2}[\s\S]*\nNot judged: .*\n {2}spec\.containers\[\*\]\.lifecycle\.stopSignal\n/,
    ],
  ])('explain answers for %s', async (_, field, answer) => {
    const { code, stdout, stderr } = await cloister(['explain', field]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(answer);
  });

  test('explain names the rule unknown-fields for a field that resembles none', async () => {
    const { code, stdout } = await cloister(['explain', 'spec.futureContainers']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout:
        'Rules that judge spec.futureContainers:\n  unknown-fields  This version of Cloister knows every field of the pod that must be judged.\n',
    });
  });

  test('explain suggests a field for an unknown one', async () => {
    expect(await cloister(['explain', 'spec.hostAlias'])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'error: no rule knows the field "spec.hostAlias" (did you mean spec.hostAliases?): write it with its full path, such as spec.containers[*].image\n',
    });
  });
});
