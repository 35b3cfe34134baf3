import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readPage, root, sectionOf } from './page.ts';

type Versions = Readonly<Record<string, string>>;

const page = readPage('docs/dependencies.md');
const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Versions>;
const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');

const sections = { 'What runs': dependencies, 'What builds and tests': devDependencies };

describe.each(Object.entries(sections))('T73: %s', (name, packages = {}) => {
  const rows = [...sectionOf(page, name).matchAll(/^\| (`.*?) \| (.*?) \| (.*?) \|$/gm)];

  test('the page lists exactly the packages of package.json', () => {
    const listed = rows.flatMap(([, names = '']) => [...names.matchAll(/`([^`]+)`/g)].map(([, each]) => each));
    expect(listed.sort()).toEqual(Object.keys(packages).sort());
  });

  test('each package has a reason and its alternatives', () => {
    for (const [, names, reason, instead] of rows)
      expect(
        [reason?.length, instead?.length].every((length) => length),
        names,
      ).toBe(true);
  });

  test('each package is pinned to one version', () => {
    for (const [name, version] of Object.entries(packages)) expect(version, name).toMatch(/^\d+\.\d+\.\d+(?:-[a-z]+\.\d+)?$/);
  });
});

test('T73: at most eleven packages are needed at run time', () => {
  expect(Object.keys(dependencies ?? {}).length).toBeLessThanOrEqual(11);
});

test('T73: the lockfile has a hash and no address for every package', () => {
  interface Locked {
    readonly integrity?: string;
    readonly link?: boolean;
  }
  expect(lock).not.toContain('"resolved"');
  const { packages } = JSON.parse(lock) as { readonly packages: Readonly<Record<string, Locked>> };
  const places = Object.entries(packages).filter(([place]) => place !== '');
  expect(places.length).toBeGreaterThan(0);
  for (const [place, { integrity }] of places) expect(integrity, place).toMatch(/^sha512-/);
});

test('T73: npm does not run scripts of packages during an installation', () => {
  expect(readFileSync(join(root, '.npmrc'), 'utf8')).toMatch(/^ignore-scripts=true$/m);
});
