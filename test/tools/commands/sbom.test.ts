import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shippedPackages } from '../../../tools/commands/shared/shipped.ts';

/** The bill must list the packages that the sources import and what these require in the lockfile, and nothing else. */

interface Locked {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

interface Lockfile {
  readonly packages: Readonly<Record<string, Locked>>;
}

const root = join(import.meta.dirname, '../../..');
let folder: string;
let expected: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-sbom-'));
  await promisify(execFile)(process.execPath, [join(root, 'tools/commands/sbom.ts'), folder]);
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lockfile;
  expected = [...requiredBy(packages, Object.keys(await shippedPackages()))].toSorted();
});
afterAll(() => rm(folder, { recursive: true }));

/** @returns `name@version` of the packages and of all that they require, found as Node finds modules */
function requiredBy(packages: Lockfile['packages'], names: readonly string[]): ReadonlySet<string> {
  const places = new Set<string>(names.map((name) => `node_modules/${name}`));
  for (const place of places) {
    const { dependencies, optionalDependencies, peerDependencies } = packages[place] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const found = placesFor(name, place).find((each) => each in packages);
      if (found !== undefined) places.add(found);
    }
  }
  return new Set([...places].map((place) => `${place.replace(/^.*node_modules\//, '')}@${packages[place]?.version}`));
}

/** Where a package finds another one, nearest first. */
function placesFor(name: string, place: string): readonly string[] {
  const above = place.lastIndexOf('/node_modules/');
  return [`${place}/node_modules/${name}`, ...(above === -1 ? [`node_modules/${name}`] : placesFor(name, place.slice(0, above)))];
}

const read = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'));

/** `pkg:npm/%40scope/name@1.0.0` -> `@scope/name@1.0.0` */
const named = (purl: string): string => decodeURIComponent(purl.replace(/^pkg:npm\//, ''));

test('T73: the CycloneDX bill lists exactly the runtime packages, each with its version, hash and licence', async () => {
  const { metadata, components } = await read('cloister.cdx.json');
  expect(metadata.component).toMatchObject({ name: 'cloister', type: 'application' });
  expect(components.map(({ purl }: { purl: string }) => named(purl)).sort()).toEqual(expected);
  for (const { name, hashes, licenses } of components) {
    expect(hashes?.[0]?.content, name).toMatch(/^[\da-f]{128}$/);
    expect(licenses?.length, name).toBeGreaterThan(0);
  }
});

test('T73: the SPDX bill lists the same packages', async () => {
  const { packages } = await read('cloister.spdx.json');
  interface Package {
    readonly externalRefs: readonly { readonly referenceType: string; readonly referenceLocator: string }[];
  }
  const purls = packages.flatMap(({ externalRefs }: Package) =>
    externalRefs.flatMap(({ referenceType, referenceLocator }) => (referenceType === 'purl' ? [named(referenceLocator)] : [])),
  );
  const own = purls.filter((each: string) => each.startsWith('cloister@'));
  expect(own).toHaveLength(1);
  expect(purls.filter((each: string) => !own.includes(each)).sort()).toEqual(expected);
});
