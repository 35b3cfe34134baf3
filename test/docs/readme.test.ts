import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const README = join(root, 'README.md');
const RUN = /<!-- run -->\n```console\n\$ (?<command>.+)\n(?<output>[\s\S]*?)```/g;

/** `UPDATE_GOLDEN=1` writes what the commands print into the page. */
const updates = process.env.UPDATE_GOLDEN === '1';

describe('README', async () => {
  const text = await readFile(README, 'utf8');

  it('the README shows at least two examples', () => expect([...text.matchAll(RUN)].length).toBeGreaterThanOrEqual(2));

  for (const { groups } of text.matchAll(RUN)) {
    const { command = '', output = '' } = groups ?? {};
    it(`the README shows the output of \`${command}\``, async () => {
      const printed = await outputOf(command);
      if (updates)
        await writeFile(
          README,
          (await readFile(README, 'utf8')).replace(`$ ${command}\n${output}\`\`\``, () => `$ ${command}\n${printed}\`\`\``),
        );
      else expect(output).toBe(printed);
    });
  }

  it('the README names existing scripts', async () => {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    const named = [...text.matchAll(/\.\/dev ([a-z:]+)/g)].map(([, name]) => name);
    expect(named.filter((name) => name === undefined || scripts[name] === undefined)).toEqual([]);
  });

  it('the README links to existing files', () => {
    const links = [...text.matchAll(/\]\((?!http)([^)#]+)/g)].map(([, link]) => link ?? '');
    expect(links.filter((link) => !existsSync(join(root, link)))).toEqual([]);
  });
});

/** What a reader sees who types the command, standard error included; a status other than 0 is no failure of ours. */
async function outputOf(command: string): Promise<string> {
  const [program = '', ...args] = command.replace('./dev cloister', 'node src/main.ts').split(' ');
  const run = promisify(execFile)(program === 'node' ? process.execPath : program, args, {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1' },
  });
  const { stdout, stderr } = await run.catch((error: { stdout: string; stderr: string }) => error);
  return stdout + stderr;
}
