const encoder = new TextEncoder();

/** The most bytes of a UTF-16 unit in UTF-8. */
const MAX_BYTES_PER_UNIT = 3;

/** Whether a text has more bytes in UTF-8 than a limit. The bytes are counted only if the length of the text leaves the answer open. */
export function isLongerThan(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return true;
  return text.length * MAX_BYTES_PER_UNIT > maxBytes && encoder.encode(text).length > maxBytes;
}
