import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { cloister } from '../support/run.ts';

const root = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

test('--version prints the version of the package', async () => {
  expect(await cloister(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test.each([[['--help']], [['help']]])('%j lists every command', async (args) => {
  const { code, stdout } = await cloister(args);
  expect(code).toBe(0);
  for (const name of ['serve', 'fix', 'check', 'test', 'explain', 'schema', 'manifests', 'ensure', 'certs', 'completion', 'version'])
    expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
});

test('cloister without arguments prints the help as an error', async () => {
  const { code, stdout, stderr } = await cloister([]);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('Usage: cloister');
});

describe('an unknown command or flag', () => {
  test('an unknown command is reported with a suggestion', async () => {
    const { code, stderr } = await cloister(['chekc']);
    expect([code, stderr]).toEqual([2, 'error: there is no command "chekc" (did you mean check?): `cloister --help` lists them\n']);
  });
  test.each(['constructor', '__proto__', 'toString'])('a command named %s is unknown', async (name) => {
    expect((await cloister([name])).code).toBe(2);
  });
  test('an unknown flag is reported in one line without a stack', async () => {
    expect(await cloister(['explain', '--nope'])).toEqual({ code: 2, stdout: '', stderr: "error: unknown option '--nope'\n" });
  });
});

describe('the help of a command', () => {
  test.each(['serve', 'fix', 'check', 'test', 'explain', 'manifests', 'ensure'])(
    'the help of %s has flags, exit statuses and examples',
    async (name) => {
      const { code, stdout } = await cloister([name, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain(`Usage: cloister ${name} [options]`);
      expect(stdout).toMatch(/\nExit status:\n {2}0 {2}\w.*\n(?: {2}.*\n)* {2}2 {2}\w/);
      expect(stdout).toContain(`\nExamples:\n  cloister ${name}`);
      const flags = stdout.split('\n').filter((line) => /^ {2}-/.test(line));
      expect(flags.length).toBeGreaterThan(1);
      expect(flags.filter((line) => !/^ {2}-\S.* {2,}\S/.test(line))).toEqual([]);
    },
  );
});

test('an older Node is reported with the required version, without a stack', async () => {
  const older = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });`;
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(older)}`;
  expect(await cloister(['--version'], '', { NODE_OPTIONS })).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'error: cloister needs Node.js 24 or later, and this is Node.js 20.20.2: install a newer Node.js, or run cloister with another Node.js that is installed\n',
  });
});

test('a command loads only the modules that it needs', async () => {
  const trace = `const { registerHooks } = require('node:module');
    registerHooks({ load: (url, context, next) => (process.stderr.write(url + '\\n'), next(url, context)) });`;
  const preload = `data:text/javascript,${encodeURIComponent(`import { createRequire } from 'node:module'; const require = createRequire('${root}/x.js'); ${trace}`)}`;
  const help = await cloister(['--help'], '', { NODE_OPTIONS: `--import=${preload}` });
  expect(help.stderr).toContain('/src/commands/shared/commands.ts');
  expect(help.stderr).not.toMatch(/zod|fastify|commands\/[a-z-]+\.ts/);
  const { stderr } = await cloister(['explain', 'selinux'], '', { NODE_OPTIONS: `--import=${preload}` });
  expect(stderr).toContain('/src/commands/explain.ts');
  expect(stderr).not.toMatch(/fastify|node-forge|commands\/(?:serve|certs|fix)/);
});

test.each(['check', 'ensure'])('`help %s` is `%s --help`', async (name) => {
  expect(await cloister(['help', name])).toEqual(await cloister([name, '--help']));
});

test('a closed pipe is not an error', async () => {
  const child = spawn(process.execPath, ['src/main.ts', 'check', '-f', 'examples', '-o', 'json'], { cwd: root });
  child.stdout.destroy();
  expect(await text(child.stderr)).toBe('');
});
