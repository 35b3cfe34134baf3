import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { estimateValues } from '../../../src/webhook/http/value-count.ts';

const BYTES = 256 * 1024;

/** Makes bytes, some of them commas. */
function makeCommas(isComma: (index: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: BYTES }, (_, index) => (isComma(index) ? 44 : 120));
}

/** One byte in 29, 31 or 37 is checked: patterns that put values where one of these steps, or all, may miss them. */
const PATTERNS: readonly (readonly [what: string, isComma: (index: number) => boolean])[] = [
  ...[2, 3, 7, 8, 16].map((period) => [`one in ${period}`, (index: number) => index % period === 1] as const),
  ...[29, 31, 37].map((step) => [`the first ten of ${step}`, (index: number) => index % step < 10] as const),
  ['where all three steps may miss them', (index) => index % 29 < 15 && index % 31 < 16 && index % 37 < 19],
];

test.each(PATTERNS)('T22: no pattern hides its values, in any of 500 estimates: %s', (_, isComma) => {
  const bytes = makeCommas(isComma);
  const found = bytes.filter((byte) => byte === 44).length;
  for (let time = 0; time < 500; time += 1) {
    const estimate = estimateValues(bytes);
    expect(estimate).toBeGreaterThan(found / 2);
    expect(estimate).toBeLessThan(found * 2);
  }
});

test('the estimate for a recorded review, in chunks as it arrives, is within a tenth', async () => {
  const body = await readFile(new URL('../../../bench/reviews/recorded/large-mutate-userns.jsonl', import.meta.url));
  const found = body.toString('latin1').match(/[,{[]/g)?.length ?? 0;
  for (let time = 0; time < 20; time += 1) {
    let sum = 0;
    for (let at = 0; at < body.length; at += 16_384) sum += estimateValues(body.subarray(at, at + 16_384));
    expect(Math.abs(sum / found - 1)).toBeLessThan(0.1);
  }
});
