/** The bytes that are counted: each stands before one value. */
const WEIGHTS = new Uint8Array(256);
for (const character of ',{[') WEIGHTS[character.charCodeAt(0)] = 1;

/**
 * One of this many bytes is checked, because checking every byte would cost a third of the time that parsing costs. Offset and step are random for
 * each KiB, so that a sender cannot hide values from the sample. The steps are primes, because lists repeat in smaller periods.
 */
const STEPS = [29, 31, 37] as const;
const BLOCK_BYTES = 1_024;

/**
 * Estimates how many values a JSON text has, which is how much work parsing it makes: each value but the first costs one comma, brace or bracket.
 * Those inside strings count too; to leave them out would take the parser whose cost this bounds.
 */
export function estimateValues(chunk: Uint8Array): number {
  let values = 0;
  for (let from = 0; from < chunk.length; from += BLOCK_BYTES) {
    const step = STEPS[randomBelow(STEPS.length)] as number;
    const end = Math.min(from + BLOCK_BYTES, chunk.length);
    for (let index = from + randomBelow(step); index < end; index += step) values += (WEIGHTS[chunk[index] as number] as number) * step;
  }
  return values;
}

const randomBelow = (end: number): number => Math.floor(Math.random() * end);
