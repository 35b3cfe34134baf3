import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { chartFiles } from '../../tools/commands/chart.ts';

const chart = join(import.meta.dirname, '../../charts/cloister');
const read = (name: string): string => readFileSync(join(chart, name), 'utf8');

const files = await chartFiles();

test.each([...files])('%s of the chart equals the output of `./dev chart`', (name, text) => {
  expect(read(name)).toBe(text);
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
  readonly description?: string;
}

const schema = JSON.parse(files.get('values.schema.json') ?? '') as Schema;
const values = parse(read('values.yaml')) as object;

test('the schema has the same values as values.yaml', () => {
  expect(pathsOf(schema)).toEqual(pathsIn(values, schema));
});

test('every value in the table of the README has a description', () => {
  const [, table = ''] = read('README.md').split('<!-- values: written by ./dev chart -->');
  const rows = [...table.matchAll(/^\| `([^`]+)` \| (.*?) \| `.*` \|$/gm)];
  expect(rows.length).toBeGreaterThan(60);
  expect(rows.filter(([, , meaning = '']) => meaning.trim() === '').map(([, path]) => path)).toEqual([]);
});

test('the chart, the image that it installs and the package have the same version', () => {
  const { version } = JSON.parse(readFileSync(join(chart, '../../package.json'), 'utf8')) as { readonly version: string };
  expect(parse(read('Chart.yaml'))).toMatchObject({ version, appVersion: version });
});

/** Below a value whose keys are the user's own, nothing is asked. */
function pathsOf({ properties }: Schema): string[] {
  return Object.entries(properties ?? {})
    .flatMap(([key, each]) => (isPlace(key, each) ? pathsOf(each).map((path) => `${key}.${path}`) : [key]))
    .sort();
}

function pathsIn(value: object, { properties }: Schema): string[] {
  return Object.entries(value)
    .flatMap(([key, each]) => {
      const below = properties?.[key];
      const isMap = typeof each === 'object' && each !== null && !Array.isArray(each);
      return below !== undefined && isMap && isPlace(key, below) ? pathsIn(each, below).map((path) => `${key}.${path}`) : [key];
    })
    .sort();
}

const LEAVES = ['profiles', 'resources', 'affinity', 'issuerRef', 'runAs'];
const isPlace = (key: string, { properties }: Schema): boolean => properties !== undefined && !LEAVES.includes(key);

test('the chart names the repository of the package', () => {
  const { repository } = JSON.parse(readFileSync(join(chart, '../../package.json'), 'utf8')) as {
    readonly repository: { readonly url: string };
  };
  const url = repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
  const metadata = parse(read('Chart.yaml')) as { readonly home: string; readonly sources: readonly string[]; readonly icon: string };
  expect(metadata).toMatchObject({ home: url, sources: [url] });
  const repositoryPath = new URL(url).pathname;
  expect(metadata.icon).toBe(`https://raw.githubusercontent.com${repositoryPath}/main/charts/cloister/icon.svg`);
  expect(read('icon.svg')).toMatch(/^<svg /);
});

test('examples/containers.yaml is the configuration of the default values', () => {
  const { profiles } = parse(readFileSync(join(chart, '../../examples/containers.yaml'), 'utf8')) as object & { readonly profiles: object };
  expect(values).toMatchObject({ profiles });
});
