import { InvalidArgumentError } from 'commander';
import { type Address, addressOf } from '../../address.ts';

/** Parsers of flags. Each throws an InvalidArgumentError, which commander prints. */

export function parseAddress(text: string): Address {
  const address = addressOf(text);
  if (address === undefined) throw new InvalidArgumentError('It must be HOST:PORT, like 127.0.0.1:8443 or [::1]:8443.');
  return address;
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
