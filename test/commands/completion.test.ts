import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { commands } from '../../src/commands/shared/commands.ts';
import { cloister } from '../support/run.ts';

const { stdout: script } = await cloister(['completion', 'bash']);

/** What bash offers for the last of the words. */
function offered(...words: string[]): string[] {
  const source = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})\nCOMP_CWORD=${words.length - 1}\n_cloister\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', source], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  return stdout.split('\n').filter((word) => word !== '');
}

test('bash completes every command', () => {
  expect(offered('cloister', '')).toEqual([...commands.keys(), 'help', '--help', '--version']);
  expect(offered('cloister', 'ch')).toEqual(['check']);
});

test.each<[string, string[], string[]]>([
  ['flags', ['check', '--fa'], ['--fail-on']],
  ['values of a flag', ['check', '--fail-on', 're'], ['refused', 'repairable']],
  ['values of a short flag', ['check', '-o', 's'], ['sarif']],
  ['commands of a command', ['certs', ''], ['dev', '-h', '--help']],
  ['flags of a command of a command', ['certs', 'dev', '--f'], ['--force']],
  ['values of an argument', ['completion', 'z'], ['zsh']],
  ['nothing where a file is expected', ['check', 'po'], []],
  ['nothing where a value of any form is expected', ['check', '--config', '-'], []],
])('bash completes %s', (_, words, expected) => expect(offered('cloister', ...words)).toEqual(expected));

test('zsh loads the same function', async () => {
  const { stdout } = await cloister(['completion', 'zsh']);
  expect(stdout).toContain('autoload -Uz bashcompinit && bashcompinit\n_cloister() {');
  expect(stdout.slice(stdout.indexOf('_cloister() {'))).toBe(script.slice(script.indexOf('_cloister() {')));
});

test('fish has a line for each command and flag, with its description', async () => {
  const { stdout } = await cloister(['completion', 'fish']);
  for (const name of commands.keys())
    expect(stdout).toMatch(new RegExp(`^complete -c cloister -n __fish_use_subcommand -f -a ${name} -d '.+'$`, 'm'));
  expect(stdout).toMatch(
    /^complete -c cloister -n '__fish_seen_subcommand_from check' -l fail-on -x -a 'refused repairable promise unjudged never' -d '.+'$/m,
  );
  // Each line is words of a shell: quotes are in pairs.
  const { status } = spawnSync('bash', ['-n'], { input: stdout.replaceAll("\\'", ''), encoding: 'utf8' });
  expect(status).toBe(0);
});

test('an unknown shell is an error', async () => {
  const { code, stderr } = await cloister(['completion', 'csh']);
  expect([code, stderr]).toEqual([2, expect.stringContaining('Allowed choices are bash, zsh, fish.')]);
});
