import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { configSchema, defaultSchema, exemptionSchema, governsSchema, optionSchemas } from '../../src/config/schema.ts';
import { contentOf, EXEMPTIBLE, HEAD, NOW, parse } from '../config/samples.ts';

const PAGE = join(import.meta.dirname, '../../docs/configuration.md');
const EXAMPLE = join(import.meta.dirname, '../../examples/config.yaml');

test('examples/config.yaml is valid and shows every key', async () => {
  expect(contentOf(await loadConfig(EXAMPLE, { now: NOW })).warnings).toEqual([]);
  const text = await readFile(EXAMPLE, 'utf8');
  const inGovernance = [governsSchema.shape, defaultSchema.shape].flatMap(Object.keys);
  for (const key of ['extends', ...keysOf(), ...inGovernance]) expect(text, key).toMatch(new RegExp(`^[\\s#-]*${key}:`, 'm'));
});

test('docs/configuration.md has a section for each key, and no other section', async () => {
  const headings = [...(await readFile(PAGE, 'utf8')).matchAll(/^### `(\w+)`$/gm)].map(([, key]) => key);
  expect(headings.sort()).toEqual(['extends', ...keysOf()].sort());
});

test('docs/configuration.md lists every rule that can be exempted, and no other rule', async () => {
  const rows = (await readFile(PAGE, 'utf8')).matchAll(/^\| (`.*?`) \|/gm);
  const ids = [...rows].flatMap(([, cell = '']) => cell.split(', ').map((id) => id.replaceAll('`', '')));
  expect(ids.sort()).toEqual(EXEMPTIBLE.split(', ').sort());
});

test('every example of docs/configuration.md is valid', async () => {
  const examples = [...(await readFile(PAGE, 'utf8')).matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text]) => text ?? '');
  expect(examples.length).toBeGreaterThan(15);
  for (const example of examples) {
    const file = example.startsWith('apiVersion') ? example : HEAD + example;
    expect(contentOf(parse(file)).warnings, example).toEqual([]);
  }
});

function keysOf(): string[] {
  return [configSchema.shape, exemptionSchema.shape, optionSchemas].flatMap(Object.keys);
}
