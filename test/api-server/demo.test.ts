import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, expect, test } from 'vitest';

/** `./dev demo`, as a person runs it; its temporary files go where the test can see that none is left. */

const DEMO = join(import.meta.dirname, '../../tools/commands/demo.ts');
let code: number | null;
let stdout: string;
let stderr: string;
let leftFiles: readonly string[];
let leftProcesses: readonly string[];

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-demo-'));
  const { FORCE_COLOR: _, ...env } = process.env;
  const demo = spawn(process.execPath, [DEMO], { env: { ...env, TMPDIR: folder }, stdio: ['ignore', 'pipe', 'pipe'] });
  [stdout, stderr, [code]] = await Promise.all([text(demo.stdout), text(demo.stderr), once(demo, 'close')]);
  leftFiles = await readdir(folder);
  leftProcesses = await processesAbout(folder);
  await rm(folder, { recursive: true });
});

/** Every program of the demo has a file of its folder among its arguments. */
async function processesAbout(folder: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((each) => /^\d+$/.test(each));
  const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return commands.filter((each) => each.includes(folder));
}

test('the demo exits with status 0 and prints no error', () => {
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('the demo leaves no process and no file', () => {
  expect({ leftFiles, leftProcesses }).toEqual({ leftFiles: [], leftProcesses: [] });
});

test('the demo prints no colours where the output is not a terminal', () => {
  expect(stdout).not.toContain('\u001b');
});

test('the demo shows the pod as requested and as stored', () => {
  const difference = stdout.slice(stdout.indexOf('requested -> stored'), stdout.indexOf('\n2. '));
  expect(difference).toContain('\n-   hostNetwork: true\n');
  expect(difference).toContain('\n-         privileged: true\n+         privileged: false\n');
  expect(difference).toContain('\n+   hostUsers: false\n');
  expect(difference).toContain('\n+     cloister.dev/profile-applied: userns/containers\n');
  expect(difference).not.toContain('kube-api-access');
});

test('the demo shows the warnings of the author', () => {
  expect(stdout).toMatch(/^Warning: cloister userns: the repair takes away .*privileged \(privileged is true\) \(container workspace\)/m);
  expect(stdout).toContain('\npod/workspace created\n');
});

test('the demo shows a refused pod and the reason, and that the pod was not stored', () => {
  expect(stdout).toMatch(/^Error from server \(Forbidden\): .* ValidatingAdmissionPolicy 'cloister-profile-userns' .* denied request: /m);
  expect(stdout).toContain(': volume-types: volume "docker" is the node\'s /var/run/docker.sock; ');
  const now = stdout.slice(stdout.indexOf('The pods in the namespace'));
  expect(now).toMatch(/^workspace +false +<none>$/m);
  expect(now).not.toContain('borrower');
});
