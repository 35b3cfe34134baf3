import { stringify } from 'yaml';
import { type Config, parseConfig } from '../../src/config/load.ts';
import { rules } from '../../src/core/rules/index.ts';

/** Configurations for the tests of src/config. */

export const NOW = new Date('2026-11-21T12:00:00Z');
export const HEAD = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\n';

const EXEMPTION = {
  reason: 'mesh',
  expires: '2027-06-30',
  namespaces: ['*'],
  serviceAccounts: ['*'],
  containers: ['mesh-*'],
  allow: { capabilities: ['NET_ADMIN'] },
};

export const EXEMPTIBLE = rules
  .filter(({ exemptibleValues }) => exemptibleValues !== undefined)
  .map(({ id }) => id)
  .join(', ');

export const parse = (text: string) => parseConfig(text, 'config.yaml', { now: NOW });
export const withProfiles = (text: string) => parse(`${HEAD}profiles:\n${text.replace(/^/gm, '  ')}\n`);
export const withExemption = (fields: object) => parse(HEAD + stringify({ exemptions: [{ ...EXEMPTION, ...fields }] }));

/** @throws the problems */
export function contentOf(result: ReturnType<typeof parse>): Config {
  if (!result.ok) throw new Error(result.error.join('\n'));
  return result.value;
}

export const listed = (names: readonly string[], word: 'and' | 'or'): string => `${names.slice(0, -1).join(', ')} ${word} ${names.at(-1)}`;

/** By name: a faulty text, and the problems that it has. */
export type Table<T> = Readonly<Record<string, readonly [written: T, ...problems: string[]]>>;

/** The rows of a table for `test.each`; problems that do not name the file get its name. */
export const rowsOf = <T>(table: Table<T>) =>
  Object.entries(table).map(([name, [written, ...problems]]) => [name, written, problems.map(withFile)] as const);

const withFile = (problem: string): string => (problem.startsWith('config.yaml') ? problem : `config.yaml: ${problem}`);
