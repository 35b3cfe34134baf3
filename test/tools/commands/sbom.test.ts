import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** The bill must list the runtime packages of the lockfile, and nothing else. */

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly dev?: true; readonly devOptional?: true }>>;
}

const root = join(import.meta.dirname, '../../..');
let folder: string;
let expected: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-sbom-'));
  await promisify(execFile)(process.execPath, [join(root, 'tools/commands/sbom.ts'), folder]);
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lockfile;
  const running = Object.entries(packages).filter(([place, { dev, devOptional }]) => place !== '' && !dev && !devOptional);
  expected = [...new Set(running.map(([place, { version }]) => `${place.replace(/^.*node_modules\//, '')}@${version}`))].sort();
});
afterAll(() => rm(folder, { recursive: true }));

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
