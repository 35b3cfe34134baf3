import { excerptOf } from './excerpt.ts';
import type { Json } from './json.ts';
import type { Finding, Fix } from './rules/rule.ts';

/**
 * What a person should do about a finding: its remedy, or else what its fix does; and the exemption that would let the value through, as the
 * operator writes it. The one place for this wording.
 */
export function remedyOf({ rule, fix, remedy, exemption }: Pick<Finding, 'rule' | 'fix' | 'remedy' | 'exemption'>): string {
  const change = remedy ?? printFix(fix);
  return exemption === undefined ? change : `${change}, or ask the operator for an exemption (${rule}: ${printValue([exemption])})`;
}

function printFix(fix: Fix | undefined): string {
  if (fix === undefined) return 'change it by hand';
  if ('set' in fix) return `set it to ${printValue(fix.set)}`;
  if ('append' in fix) return `add ${fix.append.map(printValue).join(', ')}`;
  return 'remove it';
}

/** As it is written in a manifest, on one line. */
function printValue(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(printValue).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, each]) => `${key}: ${printValue(each)}`)
      .join(', ')}}`;
  }
  if (typeof value !== 'string') return JSON.stringify(value);
  const excerpt = excerptOf(value);
  return isPlain(excerpt) ? excerpt : JSON.stringify(excerpt);
}

/** Whether YAML reads the unquoted text as this string: no syntax, no number, no boolean or null. */
const isPlain = (text: string): boolean => /^[A-Za-z/][\w./-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text);
