const WEIGHTS = new Uint8Array(256);
for (const character of ',{[') WEIGHTS[character.charCodeAt(0)] = 1;

/** One byte of so many is looked at: to look at each would cost a third of what parsing does. Primes, so that no pattern suits more than one. */
const STEPS = [29, 31, 37] as const;

/**
 * About how much there is to parse: each value of a JSON text costs one of these three bytes but the first. Those inside strings count too;
 * telling them apart would take the parser that this is to spare. Which bytes are looked at is picked at random, so that nobody can hide
 * from it.
 */
export function tokensIn(chunk: Uint8Array): number {
  const step = STEPS[below(STEPS.length)] as number;
  let found = 0;
  for (let index = below(step); index < chunk.length; index += step) found += WEIGHTS[chunk[index] as number] as number;
  return found * step;
}

const below = (end: number): number => Math.floor(Math.random() * end);
