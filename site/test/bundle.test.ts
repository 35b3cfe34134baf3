import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseSync } from 'rolldown/utils';
import { expect, inject, test } from 'vitest';

const folder = inject('siteFolder');
const files = globSync('{playground.html,playground-*/*}', { cwd: folder });
const MAX_BYTES = 200 * 1024;

test('the playground without the editor has at most 200 KiB, compressed', () => {
  const sizes = new Map(files.map((file) => [basename(file), gzipSync(readFileSync(join(folder, file))).length]));
  expect([...sizes.keys()]).toEqual(expect.arrayContaining(['playground.html', 'main.js', 'worker.js', 'editor.js', 'style.css']));
  const first = [...sizes].filter(([name]) => name !== 'editor.js');
  const sum = first.reduce((total, [, bytes]) => total + bytes, 0);
  const kib = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KiB`;
  process.stdout.write(`playground, compressed: ${kib(sum)} (${[...sizes].map(([name, bytes]) => `${name} ${kib(bytes)}`).join(', ')})\n`);
  expect(sum).toBeLessThanOrEqual(MAX_BYTES);
});

test('the scripts of the playground import no module of Node, and nothing from another address', () => {
  const scripts = files.filter((file) => file.endsWith('.js'));
  const imported = scripts.flatMap((file) => importsIn(readFileSync(join(folder, file), 'utf8')));
  expect(imported).toContain('./editor.js');
  expect(imported.filter((name) => !name.startsWith('./') || builtinModules.includes(name))).toEqual([]);
});

function importsIn(code: string): string[] {
  const { staticImports, staticExports, dynamicImports } = parseSync('script.js', code).module;
  const requests = [...staticImports, ...staticExports.flatMap(({ entries }) => entries)].flatMap(
    ({ moduleRequest }) => moduleRequest?.value ?? [],
  );
  return [...requests, ...dynamicImports.map(({ moduleRequest: { start, end } }) => code.slice(start + 1, end - 1))];
}

test('the judge is not in the thread of the page', () => {
  const main = readFileSync(join(folder, files.find((file) => file.endsWith('/main.js')) ?? ''), 'utf8');
  const worker = readFileSync(join(folder, files.find((file) => file.endsWith('/worker.js')) ?? ''), 'utf8');
  expect(worker).toContain('No container is privileged.');
  expect(main).not.toContain('No container is privileged.');
});
