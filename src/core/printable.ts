/**
 * Text that may hold what a pod's author wrote, made fit for one line of a log, a warning or a terminal. Control and format characters,
 * line separators and halves of surrogate pairs would let it forge lines, turn text around, and make the API server drop a warning.
 * @param max characters; what is longer ends in an ellipsis
 */
export function printable(text: string, max = 200): string {
  const short = text.length > max ? `${text.slice(0, max - 1)}…` : text;
  // Hardly any text is more than ASCII, and this is told faster than the rest.
  if (/^[ -~]*$/.test(short)) return short;
  return short.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escaped);
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
