import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { onNode } from './fixture/use.ts';

/** If a machine cannot run a test node, the missing requirement is named. A machine that can is restricted for these tests. */

const ASK = `import(${JSON.stringify(join(import.meta.dirname, 'fixture/requirements.ts'))}).then(async (it) => console.log(await it.missingForNode()))`;

onNode('what a machine lacks for a node', () => {
  test.each([
    ['an unprivileged user', ['unshare', '--user'], 'root'],
    ['root of a container', ['unshare', '--user', '--map-root-user'], 'the right to mount and to make devices, which containers lack'],
    ['root without programs', ['env', 'PATH=/nowhere'], 'unshare, chroot, apt-get, dpkg-deb, nsenter, bash, tar on the PATH'],
    ['a user with all rights', ['env'], 'undefined'],
  ])('the missing requirement is reported for %s', async (_, [program = '', ...args], missing) => {
    const { stdout } = await promisify(execFile)(program, [...args, process.execPath, '-e', ASK]);
    expect(stdout).toBe(`${missing}\n`);
  });
});
