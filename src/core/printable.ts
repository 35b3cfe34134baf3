/**
 * Escapes text that may contain input of a pod's author, for one line of a log, a warning or a terminal. Control and format characters, line
 * separators and unpaired surrogates could forge lines, reverse the direction of text, and make the API server drop a warning.
 * @param max characters; what is longer ends in an ellipsis
 */
export function printable(text: string, max = 200): string {
  const short = text.length > max ? `${text.slice(0, max - 1)}…` : text;
  // Fast path: most text is printable ASCII.
  if (/^[ -~]*$/.test(short)) return short;
  return short.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
