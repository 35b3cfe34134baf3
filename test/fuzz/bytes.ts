import type { Coverage } from './coverage.ts';

export interface Search {
  /** Inputs that are known to be interesting; new inputs are mutated from them. */
  readonly corpus: readonly Buffer[];
  readonly runs: number;
  readonly seed: number;
  /** What is wrong with what the input makes happen. */
  readonly attempt: (input: Buffer) => readonly string[];
  /** undefined: without looking where it leads. */
  readonly coverage: Coverage | undefined;
  readonly tokens?: readonly Buffer[];
  readonly onProgress?: (tried: number, reached: number) => void;
}

export interface Found {
  /** Inputs that led where none before had led. */
  readonly kept: readonly Buffer[];
  /** How many characters of source any input led to. */
  readonly reached: number;
  readonly failures: readonly { readonly input: Buffer; readonly faults: readonly string[] }[];
}

/** Looking where a batch led costs as much as many runs; one that led nowhere new is not taken apart. */
const BATCH = 128;
const MOST_FAILURES = 5;
export const MAX_BYTES = 32 * 1024;

/**
 * Breeds inputs from those that led somewhere new, as AFL and libFuzzer do: coverage-guided, by V8's block counts. Ends at the number of
 * runs, or at a handful of failures.
 */
export function searchBytes({ corpus, runs, seed, attempt, coverage, tokens = [], onProgress }: Search): Found {
  const chance = makeChance(seed);
  const parents = [...corpus];
  const kept: Buffer[] = [];
  const failures: { readonly input: Buffer; readonly faults: readonly string[] }[] = [];

  // What ran to get here leads nowhere.
  coverage?.fresh(true);
  for (const input of corpus) run(input);
  let reached = coverage?.fresh(true) ?? 0;
  for (let tried = 0; tried < runs && failures.length < MOST_FAILURES; tried += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, runs - tried) }, () => mutate(parents, tokens, chance));
    for (const input of batch) run(input);
    if (coverage !== undefined) learnFrom(batch, coverage);
    onProgress?.(tried + batch.length, reached);
  }
  return { kept, reached, failures };

  function run(input: Buffer): void {
    const faults = attempt(input);
    if (faults.length > 0 && failures.length < MOST_FAILURES) failures.push({ input, faults });
  }

  /** Where the batch led somewhere new, its inputs are run alone, to find those that did. */
  function learnFrom(batch: readonly Buffer[], { fresh }: Coverage): void {
    let left = fresh(false);
    for (const input of batch) {
      if (left <= 0) return;
      attempt(input);
      const led = fresh(true);
      if (led === 0) continue;
      left -= led;
      reached += led;
      parents.push(input);
      kept.push(input);
    }
  }
}

/** A number from 0 to below the given one. */
type Chance = (below: number) => number;

/** Source: https://www.jstatsoft.org/article/view/v008i14 (Marsaglia's xorshift) */
function makeChance(seed: number): Chance {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const ODD_BYTES = [
  0x00, 0x09, 0x0a, 0x20, 0x22, 0x2c, 0x2d, 0x30, 0x3a, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xe2, 0xed, 0xef, 0xf8, 0xff,
];

function mutate(parents: readonly Buffer[], tokens: readonly Buffer[], chance: Chance): Buffer {
  const pick = <T>(from: readonly T[]): T | undefined => from[chance(Math.max(1, from.length))];
  let bytes = Buffer.from(pick(parents) ?? []);
  for (let left = 1 + chance(4); left > 0; left -= 1) bytes = mutateOnce(bytes);
  return bytes.subarray(0, MAX_BYTES);

  function mutateOnce(from: Buffer): Buffer<ArrayBuffer> {
    const at = chance(from.length + 1);
    const end = Math.min(from.length, at + 1 + chance(chance(4) === 0 ? 256 : 8));
    const put = (...middle: Uint8Array[]): Buffer<ArrayBuffer> => Buffer.concat([from.subarray(0, at), ...middle, from.subarray(end)]);
    const insert = (...middle: Uint8Array[]): Buffer<ArrayBuffer> => Buffer.concat([from.subarray(0, at), ...middle, from.subarray(at)]);
    switch (chance(9)) {
      case 0:
        return flipped(from, at, 1 << chance(8));
      case 1:
        return put();
      case 2:
        return insert(Buffer.of(pick(ODD_BYTES) ?? 0));
      case 3:
        return flipped(from, at, chance(256));
      case 4:
        return insert(pick(tokens) ?? Buffer.of(chance(256)));
      case 5:
        return put(pick(tokens) ?? Buffer.of(chance(256)));
      case 6:
        return insert(...Array.from({ length: 1 + chance(8) }, () => from.subarray(at, end)));
      case 7: {
        const other = pick(parents) ?? from;
        const start = chance(other.length + 1);
        return insert(other.subarray(start, start + chance(512)));
      }
      default:
        return from.subarray(0, chance(8) === 0 ? at : from.length) as Buffer<ArrayBuffer>;
    }
  }
}

function flipped(from: Buffer, at: number, mask: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.from(from);
  if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ mask;
  return bytes;
}
