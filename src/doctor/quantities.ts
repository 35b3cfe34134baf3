import { bytesOf } from '../core/quantity.ts';

/** How much of a quota is used, from 0; undefined: one of the values is no quantity. A quota of zero is used up. */
export function usedShareOf(used: string | undefined, hard: string): number | undefined {
  if (/^0+$/.test(hard)) return 1;
  const limit = bytesOf(hard);
  if (limit === undefined) return undefined;
  return (bytesOf(used ?? '0') ?? 0) / limit;
}
