import type { X509Certificate } from 'node:crypto';
import { type Difference, differences } from '../cluster/difference.ts';
import { printPath } from '../core/path.ts';
import type { Entry } from '../manifests/entries.ts';
import { certificatesIn } from '../tls/pem.ts';

/** The differences between entries; empty if and only if they are equal. */
export function printEntryDifferences(found: readonly Entry[], desired: readonly Entry[]): readonly string[] {
  if (differences(found, desired).length === 0) return [];
  const byName = new Map(found.map((each) => [each.name, each]));
  const names = new Set(desired.map(({ name }) => name));
  const lines = [
    ...found.filter(({ name }) => !names.has(name)).map(({ name }) => `${name} is not desired`),
    ...desired.flatMap((entry) => {
      const live = byName.get(entry.name);
      if (live === undefined) return [`${entry.name} is missing`];
      return differences(live, entry).map((each) => `${entry.name}: ${printDifference(each)}`);
    }),
  ];
  return lines.length === 0 ? ['entries are duplicated, or in another order'] : lines;
}

export function printDifference({ path, live, desired }: Difference): string {
  const print = path.at(-1) === 'caBundle' ? printBundle : printValue;
  const where = printPath(path);
  if (live === undefined) return `${where} is missing: it must be ${print(desired)}`;
  if (desired === undefined) return `${where} is ${print(live)}: it must not be there`;
  return `${where} is ${print(live)} instead of ${print(desired)}`;
}

/** Characters. */
const MAX_VALUE_LENGTH = 120;

function printValue(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : text;
}

function printBundle(value: unknown): string {
  return printAuthorities(certificatesIn(Buffer.from(String(value), 'base64').toString('latin1')));
}

export function printAuthorities(certificates: readonly X509Certificate[]): string {
  return certificates.length === 0 ? 'no authority' : certificates.map(({ serialNumber }) => `authority ${serialNumber}`).join(' and ');
}
