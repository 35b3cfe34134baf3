const [TAB, LINE_FEED, CARRIAGE_RETURN, SPACE, HASH] = [0x09, 0x0a, 0x0d, 0x20, 0x23];

/** The offset behind white space and comments, which start at an offset that is not inside a token of YAML. */
export function skipGap(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === SPACE || code === LINE_FEED || code === CARRIAGE_RETURN || code === TAB) at += 1;
    else if (code === HASH) at = lineEnd(text, at);
    else return at;
  }
}

/** The offset behind comments, white space, directives and a byte order mark. */
export function skipPrologue(text: string, from: number): number {
  let at = skipGap(text, text[from] === '\ufeff' ? from + 1 : from);
  while (text[at] === '%') at = skipGap(text, lineEnd(text, at));
  return at;
}

function lineEnd(text: string, from: number): number {
  const found = text.indexOf('\n', from);
  return found < 0 ? text.length : found;
}
