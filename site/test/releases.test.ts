import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const RELEASE = 'v9.9.9';
const url = 'https://example.com/cloister/';

let clone = '';
beforeAll(async () => {
  clone = await mkdtemp(join(tmpdir(), 'cloister-releases-'));
  execFileSync('git', ['clone', '--quiet', '--depth=1', `file://${root}`, clone]);
  execFileSync('git', ['tag', RELEASE], { cwd: clone });
  for (const folder of ['.', 'site']) await symlink(join(root, folder, 'node_modules'), join(clone, folder, 'node_modules'));
});
afterAll(() => rm(clone, { recursive: true, force: true }));

test('a release is built from its tag into a folder of its own, with the menu of all versions', async () => {
  execFileSync('node', ['site/main.ts', '--build', '--releases', '--url', url], { cwd: clone, stdio: 'ignore' });
  for (const folder of ['.', RELEASE]) {
    const page = await readFile(join(clone, 'site/dist', folder, 'quickstart.html'), 'utf8');
    expect(page).toContain(`href="${url}${RELEASE}/"`);
    const [, shown] = /class="text"[^>]*>(?:<!---->)?<span[^>]*>([^<]*)<\/span><span class="[^"]*chevron/.exec(page) ?? [];
    expect(shown).toBe(folder === '.' ? 'main' : RELEASE);
  }
}, 600_000);
