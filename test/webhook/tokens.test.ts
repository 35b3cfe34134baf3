import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { tokensIn } from '../../src/webhook/tokens.ts';

const BYTES = 8_190;

/** Bytes of which one in so many is a comma, the first of them at a place. */
function commas(period: number, phase: number): Uint8Array {
  return Uint8Array.from({ length: BYTES }, (_, index) => (index % period === phase ? 44 : 120));
}

const PATTERNS = [2, 5, 7, 8, 11, 13, 16].flatMap((period) => Array.from({ length: period }, (_, phase) => ({ period, phase })));

test('T22: no pattern of values hides', () => {
  for (const { period, phase } of PATTERNS) {
    const bytes = commas(period, phase);
    const times = 1_500;
    let sum = 0;
    for (let time = 0; time < times; time += 1) sum += tokensIn(bytes);
    // Six standard deviations of what chance does to the mean, or more.
    expect(Math.abs(sum / times / (BYTES / period) - 1), `one in ${period} from ${phase}`).toBeLessThan(0.3);
  }
});

test('those of a real review, as it arrives, are told within a tenth', async () => {
  const body = await readFile(new URL('../../bench/reviews/large-mutate-userns.jsonl', import.meta.url));
  const found = body.toString('latin1').match(/[,{[]/g)?.length ?? 0;
  for (let time = 0; time < 20; time += 1) {
    let sum = 0;
    for (let at = 0; at < body.length; at += 16_384) sum += tokensIn(body.subarray(at, at + 16_384));
    expect(Math.abs(sum / found - 1)).toBeLessThan(0.1);
  }
});
