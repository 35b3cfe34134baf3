import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { onNode } from './fixture/use.ts';

/** Where a node cannot be had, what is missing is named. Those who may have one can see to it that they may not. */

const ASK = `import(${JSON.stringify(join(import.meta.dirname, 'fixture/requirements.ts'))}).then(async (it) => console.log(await it.missingForNode()))`;

onNode('what a machine lacks for a node', () => {
  test.each([
    ['nobody', ['unshare', '--user'], 'root'],
    ['root of a container', ['unshare', '--user', '--map-root-user'], 'the right to mount and to make devices, which containers lack'],
    ['root without programs', ['env', 'PATH=/nowhere'], 'unshare, nsenter, bash, tar, apt-get, dpkg-deb on the PATH'],
    ['who may', ['env'], 'undefined'],
  ])('for %s', async (_, [program = '', ...args], missing) => {
    const { stdout } = await promisify(execFile)(program, [...args, process.execPath, '-e', ASK]);
    expect(stdout).toBe(`${missing}\n`);
  });
});
