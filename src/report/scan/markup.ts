import { printable } from '../../core/printable.ts';

/** HTML that is safe to print: only the tag `html` makes it. */
export interface Markup {
  readonly markup: string;
}

type MarkupPart = string | number | Markup | readonly Markup[];

/**
 * The tag of HTML templates. Texts are escaped for elements and for quoted attributes, and their control and format characters are printed as
 * text, so that no text can add an element or an attribute, or change the direction of what follows. Texts of more than 1,000 characters are cut.
 */
export function html(pieces: TemplateStringsArray, ...parts: readonly MarkupPart[]): Markup {
  return { markup: pieces.map((piece, index) => piece + printPart(parts[index] ?? '')).join('') };
}

const MAX_TEXT_CHARS = 1_000;
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function printPart(part: MarkupPart): string {
  if (typeof part === 'string') return printable(part, MAX_TEXT_CHARS).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
  if (typeof part === 'number') return String(part);
  return 'markup' in part ? part.markup : part.map(({ markup }) => markup).join('');
}
