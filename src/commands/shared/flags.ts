import { InvalidArgumentError, Option } from 'commander';
import { type Address, addressOf } from '../../address.ts';
import { DNS_LABEL } from '../../core/name-pattern.ts';

/** Flags that several commands have, and parsers of flags. A parser throws an InvalidArgumentError, which commander prints. */

/** @param variable the environment variable that also sets the flag, without its prefix */
export function flagWithVariable(flags: string, description: string, variable: string): Option {
  return new Option(flags, description).env(`CLOISTER_${variable}`);
}

export function configOption(description = 'configuration file; without one, only the profile userns exists, with its defaults'): Option {
  return flagWithVariable('--config <file>', description, 'CONFIG');
}

export function parseNamespace(text: string): string {
  if (!DNS_LABEL.test(text))
    throw new InvalidArgumentError('It must be the name of a namespace: at most 63 lower-case letters, digits and inner dashes.');
  return text;
}

export function parseAddress(text: string): Address {
  const address = addressOf(text);
  if (address === undefined) throw new InvalidArgumentError('It must be HOST:PORT, like 127.0.0.1:8443 or [::1]:8443.');
  return address;
}

export const MAX_PORT = 65_535;

export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > MAX_PORT) throw new InvalidArgumentError(`It must be a number from 1 to ${MAX_PORT}.`);
  return port;
}

/** @returns milliseconds */
export function parseDuration(text: string): number {
  const found = /^(\d{1,6})(ms|s|m)$/.exec(text);
  if (found === null) throw new InvalidArgumentError('It must be a number of minutes, seconds or milliseconds, like 2m, 5s or 500ms.');
  return Number(found[1]) * (found[2] === 'm' ? 60_000 : found[2] === 's' ? 1_000 : 1);
}

/** @param before the names of earlier uses of the flag */
export function parseNames(text: string, before: readonly string[]): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('It must be a name, or several with commas between them.');
  return [...before, ...names];
}

/** @param before the namespaces of earlier uses of the flag */
export function parseNamespaces(text: string, before: readonly string[]): readonly string[] {
  const names = parseNames(text, before);
  for (const name of names) parseNamespace(name);
  return [...new Set(names)];
}
