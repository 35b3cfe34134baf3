export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Deeper than any field of Kubernetes. */
const MAX_DEPTH = 64;

/** Whether two values of JSON are equal. Values with more levels than MAX_DEPTH count as different, so that a forged one cannot fill the stack. */
export function isEqualJson(one: unknown, other: unknown, levels = MAX_DEPTH): boolean {
  if (one === other) return true;
  if (levels === 0 || typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one)) {
    if (!Array.isArray(other) || one.length !== other.length) return false;
    for (let index = 0; index < one.length; index += 1) {
      // Most elements are texts and numbers, for which a call costs more than the comparison.
      if (one[index] !== other[index] && !isEqualJson(one[index], other[index], levels - 1)) return false;
    }
    return true;
  }
  if (Array.isArray(other)) return false;
  let unmatched = 0;
  for (const key in one) {
    const [value, counterpart] = [(one as Fields)[key], (other as Fields)[key]];
    const isSame = value === counterpart && value !== undefined;
    if (!isSame && !(Object.hasOwn(other, key) && isEqualJson(value, counterpart, levels - 1))) return false;
    unmatched += 1;
  }
  for (const _ in other) unmatched -= 1;
  return unmatched === 0;
}

type Fields = Readonly<Record<string, unknown>>;
