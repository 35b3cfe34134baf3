import { InvalidArgumentError } from 'commander';

/** How several commands read their flags. All throw what commander tells the user. */

export interface Address {
  readonly host: string;
  readonly port: number;
}

export function parseAddress(text: string): Address {
  const found = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  if (host === undefined || port > 65_535) throw new InvalidArgumentError('It must be HOST:PORT, like 127.0.0.1:8443 or [::1]:8443.');
  return { host, port };
}

/** @returns milliseconds */
export function parseDuration(text: string): number {
  const found = /^(\d{1,6})(ms|s|m)$/.exec(text);
  if (found === null) throw new InvalidArgumentError('It must be a number of minutes, seconds or milliseconds, like 2m, 5s or 500ms.');
  return Number(found[1]) * (found[2] === 'm' ? 60_000 : found[2] === 's' ? 1_000 : 1);
}

/** @param before the flag was given already */
export function parseNames(text: string, before: readonly string[]): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('It must be a name, or several with commas between them.');
  return [...before, ...names];
}
