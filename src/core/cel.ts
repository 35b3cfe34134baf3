import type { AnnotationKeys } from './known-names.ts';
import type { NamePattern } from './name-pattern.ts';

/** A piece of the Common Expression Language, which the API server evaluates. Source: https://kubernetes.io/docs/reference/using-api/cel/ */
export type Cel = string;

/** A string. */
export const quote = (words: string): Cel => `'${words.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** A list of strings. */
export const listOf = (words: Iterable<string>): Cel => `[${[...words].map(quote).join(', ')}]`;

/** A string with expressions in it. Each of them must be a string: text`capability ${'a'} is added`. */
export function text(parts: TemplateStringsArray, ...expressions: readonly Cel[]): Cel {
  const pieces = parts.flatMap((part, index) => [part === '' ? [] : quote(part), expressions[index] ?? []].flat());
  return concat(...pieces);
}

/** Strings one after another. Literals that meet become one: inside a literal, a quote has a backslash before it. */
export const concat = (...pieces: readonly Cel[]): Cel => pieces.map(closed).join(' + ').replaceAll("' + '", '') || quote('');

/** With brackets where something that follows would belong to the last branch. */
const closed = (piece: Cel): Cel => (piece.includes(' ? ') ? `(${piece})` : piece);

/** The field at a path such as `securityContext.capabilities.add`. Any part may be absent. */
export const maybe = (owner: Cel, path: string): Cel => `${owner}.?${path.replaceAll('.', '.?')}`;
export const listAt = (owner: Cel, path: string): Cel => `${maybe(owner, path)}.orValue([])`;
export const mapAt = (owner: Cel, path: string): Cel => `${maybe(owner, path)}.orValue({})`;
export const textAt = (owner: Cel, path: string): Cel => `${maybe(owner, path)}.orValue('')`;
export const numberAt = (owner: Cel, path: string): Cel => `${maybe(owner, path)}.orValue(0)`;
export const flagAt = (owner: Cel, path: string): Cel => `${maybe(owner, path)}.orValue(false)`;

/** Conditions that are `false` or `true` in advance are left out. */
export function anyOf(...conditions: readonly Cel[]): Cel {
  if (conditions.includes('true')) return 'true';
  const open = conditions.filter((condition) => condition !== 'false');
  return open.length < 2 ? (open[0] ?? 'false') : `(${open.join(' || ')})`;
}
export function allOf(...conditions: readonly Cel[]): Cel {
  if (conditions.includes('false')) return 'false';
  const open = conditions.filter((condition) => condition !== 'true');
  return open.length < 2 ? (open[0] ?? 'true') : `(${open.join(' && ')})`;
}
export function not(condition: Cel): Cel {
  if (condition === 'true') return 'false';
  return condition === 'false' ? 'true' : `!(${condition})`;
}

/** Whether an optional value has a property; `false` where there is none. */
export const holdsFor = (optional: Cel, as: string, condition: Cel): Cel => `${optional}.optMap(${as}, ${condition}).orValue(false)`;

/** `matchesAny` in CEL. */
export function matchesAnyOf(name: Cel, patterns: readonly Pick<NamePattern, 'glob'>[]): Cel {
  if (patterns.some(({ glob }) => glob === '*')) return 'true';
  const expressions = patterns.map(({ glob }) => glob.split('*').map(escapeForPattern).join('.*'));
  return `${name}.matches(${quote(`^(${expressions.join('|')})$`)})`;
}

/** Every character but those of usual names, by its number. */
const escapeForPattern = (words: string): string =>
  words.replaceAll(/[^a-zA-Z0-9-]/gu, (character) => `\\x{${character.codePointAt(0)?.toString(16)}}`);

/** Whether a key is one of these. */
export function isAmong({ names, prefixes, domains }: AnnotationKeys, key: Cel): Cel {
  return [
    `${key} in ${listOf(names)}`,
    `${listOf(prefixes)}.exists(prefix, ${key}.startsWith(prefix))`,
    `${listOf(domains)}.exists(domain, ('.' + ${key}.split('/')[0]).endsWith('.' + domain))`,
  ].join(' ||\n');
}

/**
 * `containsKeyValue` in CEL.
 * @param values a list of strings
 * @param meansEvery whether every value is meant, and not these
 */
export function isKeyValueAmong(entries: ReadonlySet<string>, key: Cel, values: Cel, meansEvery: Cel = 'false'): Cel {
  const whole = [...entries].filter((entry) => !entry.includes('='));
  const pairs = [...entries].filter((entry) => entry.includes('='));
  const keys = new Set(pairs.map((entry) => entry.slice(0, entry.indexOf('='))));
  const isKey = `${key} in ${listOf(whole)}`;
  if (pairs.length === 0) return isKey;
  const isPair = `${values}.exists(value, (${key} + '=' + value) in ${listOf(pairs)})`;
  return anyOf(isKey, meansEvery === 'false' ? isPair : `(${meansEvery} ? ${key} in ${listOf(keys)} : ${isPair})`);
}

/** A map without some of its keys. */
export const without = (map: Cel, isLeftOut: (key: Cel, value: Cel) => Cel): Cel =>
  `${map}.transformMapEntry(k, v, !(${isLeftOut('k', 'v')}), {k: v})`;
