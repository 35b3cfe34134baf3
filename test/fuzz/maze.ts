/** A way that is found step by step, or by luck once in four thousand million. */
export function maze(input: Uint8Array): string[] {
  if (input[0] === 0x77) {
    if (input[1] === 0x61) {
      if (input[2] === 0x6c) {
        if (input[3] === 0x6c) return ['through the wall'];
      }
    }
  }
  return [];
}
