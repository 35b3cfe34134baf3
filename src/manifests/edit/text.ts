import { ok, type Result } from '../../core/result.ts';

/** Replaces a range of the text. */
export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** The text is lines below a member of a block collection. Other such lines may be added at the same offset. */
  readonly addsLines?: true;
}

/** Replacements that do not overlap, or why there are none. */
export type PlannedEdits = Result<readonly TextEdit[], string>;

/** The end of the line, before its line break. */
export function eolAt(text: string, offset: number): number {
  const found = text.indexOf('\n', offset);
  if (found < 0) return text.length;
  return text[found - 1] === '\r' && found > offset ? found - 1 : found;
}

/** The start of the line, after a byte order mark. */
export function lineStart(text: string, offset: number): number {
  const found = text.lastIndexOf('\n', offset - 1) + 1;
  return found === 0 && text.startsWith('\ufeff') ? 1 : found;
}

export function columnOf(text: string, offset: number): number {
  return offset - lineStart(text, offset);
}

/** The white space at the start of the line. */
export function lineIndent(text: string, offset: number): string {
  return /[ \t]*/.exec(text.slice(lineStart(text, offset)))?.[0] ?? '';
}

export function startsItsLine(text: string, offset: number): boolean {
  return text.slice(lineStart(text, offset), offset).trim() === '';
}

/** The end of the last line of a member. Comments below it that are indented deeper than the member belong to it. */
export function endOfLines(text: string, end: number, column: number): number {
  let last = eolAt(text, end);
  for (let at = last; at < text.length; ) {
    const start = text.indexOf('\n', at) + 1;
    if (start === 0) break;
    at = eolAt(text, start);
    const line = text.slice(start, at);
    if (line.trimStart().startsWith('#') && line.length - line.trimStart().length > column) last = at;
    else if (line.trim() !== '') break;
  }
  return last;
}

export function textEdit(start: number, end: number, text: string): TextEdit {
  return { start, end, text };
}

export function oneEdit(start: number, end: number, text: string): PlannedEdits {
  return ok([textEdit(start, end, text)]);
}

export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  let edited = '';
  let at = 0;
  for (const { start, end, text: replacement } of [...edits].sort((a, b) => a.start - b.start)) {
    edited += text.slice(at, start) + replacement;
    at = end;
  }
  return edited + text.slice(at);
}
