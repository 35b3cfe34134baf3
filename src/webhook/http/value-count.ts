const WEIGHTS = new Uint8Array(256);
for (const character of ',{[') WEIGHTS[character.charCodeAt(0)] = 1;

/**
 * One byte of so many is looked at: to look at each would cost a third of what parsing does. Where and how often is picked anew for each
 * kilobyte, so that whoever arranges values to be overlooked in one is seen in the next. Primes, because lists repeat in smaller steps.
 */
const STEPS = [29, 31, 37] as const;
const BLOCK = 1_024;

/**
 * About how much there is to parse: each value of a JSON text costs one of these three bytes but the first. Those inside strings count too;
 * telling them apart would take the parser that this is to spare.
 */
export function tokensIn(chunk: Uint8Array): number {
  let tokens = 0;
  for (let from = 0; from < chunk.length; from += BLOCK) {
    const step = STEPS[below(STEPS.length)] as number;
    const end = Math.min(from + BLOCK, chunk.length);
    for (let index = from + below(step); index < end; index += step) tokens += (WEIGHTS[chunk[index] as number] as number) * step;
  }
  return tokens;
}

const below = (end: number): number => Math.floor(Math.random() * end);
