import type { Json } from '../../core/json.ts';

/** A form of plain scalars, and their value. */
export interface PlainForm {
  readonly tag: 'null' | 'bool' | 'int' | 'float' | 'merge';
  readonly test: RegExp;
  /** Whether a value is printed in this form. */
  isFormOf(value: unknown): boolean;
  /** @param fail called with what is wrong with the text */
  resolve(text: string, fail: (message: string) => void): Json;
}

/**
 * The scalars of YAML as kubectl reads them, so that the judged object is the one that the API server receives. Kubectl reads booleans of YAML 1.1
 * (`yes`, `on`, `y`), octal numbers (`010` is 8), underscores in numbers, and keys of any scalar type as text. It reads no base-60 numbers, and reads
 * dates as text. No schema of the `yaml` package does all of this. Text that matches no form is a string.
 *
 * Source: sigs.k8s.io/yaml, whose scalars are those of its goyaml.v2/resolve.go
 */
export const PLAIN_FORMS: readonly PlainForm[] = [
  form(
    'null',
    /^(?:~|null|Null|NULL)?$/,
    (value) => value === null,
    () => null,
  ),
  form(
    'bool',
    /^(?:[Yy]|[Yy]es|YES|[Tt]rue|TRUE|[Oo]n|ON)$/,
    (value) => value === true,
    () => true,
  ),
  form(
    'bool',
    /^(?:[Nn]|[Nn]o|NO|[Ff]alse|FALSE|[Oo]ff|OFF)$/,
    (value) => value === false,
    () => false,
  ),
  form('int', /^[-+]?0[bB][01_]*[01][01_]*$/, never, (text) => integer(text, 2)),
  form('int', /^[-+]?0[xX][\da-fA-F_]*[\da-fA-F][\da-fA-F_]*$/, never, (text) => integer(text, 16)),
  form('int', /^[-+]?0[oO]?[0-7_]*[0-7][0-7_]*$/, never, (text) => integer(text, 8)),
  form('int', /^[-+]?(?:0_*|[1-9][\d_]*)$/, Number.isInteger, (text) => integer(text, 10)),
  form(
    'float',
    /^(?:[-+]?\d[\d_]*(?:\.[\d_]*)?|[-+]?\.\d+)(?:[eE][-+]?\d+)?$/,
    (value) => typeof value === 'number',
    (text) => Number(text.replaceAll('_', '')),
  ),
  form('float', /^(?:[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN)$/, never, (text, fail) => {
    fail(`${text} is a number that JSON does not have`);
    return null;
  }),
  // This tag makes the printer put the text `<<` in quotes.
  form('merge', /^<<$/, never, (text) => text),
];

/** One test instead of one for each form, because nearly all texts match none. */
const ANY_FORM = new RegExp(PLAIN_FORMS.map(({ test }) => `(?:${test.source})`).join('|'));

/** No form that begins with a letter is longer. */
const LONGEST_WORD = 'false'.length;

/**
 * @param text of a scalar without quotes
 * @returns undefined: it is a number that JSON does not have
 */
export function valueOfPlain(text: string): Json | undefined {
  if ((text.length > LONGEST_WORD && /^[A-Za-z/]/.test(text)) || !ANY_FORM.test(text)) return text;
  let isInJson = true;
  const value = PLAIN_FORMS.find(({ test }) => test.test(text))?.resolve(text, () => {
    isInJson = false;
  });
  return isInJson && (typeof value !== 'number' || Number.isFinite(value)) ? value : undefined;
}

function form(tag: PlainForm['tag'], test: RegExp, isFormOf: PlainForm['isFormOf'], resolve: PlainForm['resolve']): PlainForm {
  return { tag, test, isFormOf, resolve };
}

function never(): boolean {
  return false;
}

function integer(text: string, radix: number): number {
  const digits = text.replaceAll('_', '').replace(/^[-+]?(?:0[bBoOxX])?/, '');
  return (text.startsWith('-') ? -1 : 1) * Number.parseInt(digits, radix) || 0;
}
