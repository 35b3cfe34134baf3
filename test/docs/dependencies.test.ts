import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { shippedPackages } from '../../tools/commands/shared/shipped.ts';
import { readPage, root, sectionOf } from './page.ts';

type Versions = Readonly<Record<string, string>>;

const page = readPage('docs/dependencies.md');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Readonly<Record<string, Versions>>;
const site = JSON.parse(readFileSync(join(root, 'site/package.json'), 'utf8')) as Readonly<Record<string, Versions>>;

const shipped = await shippedPackages();
const others = Object.fromEntries(Object.entries(manifest.devDependencies ?? {}).filter(([name]) => !(name in shipped)));
const sections = { 'What runs': shipped, 'What builds and tests': others, 'What makes and tests the site': site.devDependencies ?? {} };

describe.each(Object.entries(sections))('T73: %s', (name, packages) => {
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

test('T73: at most eleven packages are bundled, and the npm package depends on none', () => {
  expect(Object.keys(shipped).length).toBeGreaterThan(5);
  expect(Object.keys(shipped).length).toBeLessThanOrEqual(11);
  expect(Object.keys(manifest).filter((key) => /dependencies$/i.test(key))).toEqual(['devDependencies']);
});

test.each(['package-lock.json', 'site/package-lock.json'])('T73: %s has a hash and no address for every package', (file) => {
  interface Locked {
    readonly integrity?: string;
    readonly link?: boolean;
  }
  const lock = readFileSync(join(root, file), 'utf8');
  expect(lock).not.toContain('"resolved"');
  const { packages } = JSON.parse(lock) as { readonly packages: Readonly<Record<string, Locked>> };
  const places = Object.entries(packages).filter(([place]) => place !== '');
  expect(places.length).toBeGreaterThan(0);
  for (const [place, { integrity }] of places) expect(integrity, place).toMatch(/^sha512-/);
});

test.each(['.npmrc', 'site/.npmrc'])('T73: %s keeps npm from running scripts of packages during an installation', (file) => {
  expect(readFileSync(join(root, file), 'utf8')).toMatch(/^ignore-scripts=true$/m);
});
