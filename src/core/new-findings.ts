import { podSize } from './rules/pod-size.ts';
import type { Finding } from './rules/rule.ts';
import { isObject } from './shape.ts';

/**
 * A key that is equal for the same finding before and after an update: rule, container and path, and the text or number at the path's end.
 * In the path, list elements are identified by their content, because an update may shift their indices.
 * @param said descriptions of elements, kept between calls: many findings may be about one element
 */
export function identityOf({ rule, container, path }: Finding, document: object, said = new Map<unknown, string>()): string {
  const steps: string[] = [rule, brief(container ?? '')];
  let value: unknown = document;
  for (const step of path) {
    value =
      typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined;
    steps.push(typeof step === 'number' ? descriptionOf(value, said) : brief(step));
  }
  if (!isObject(value) && !Array.isArray(value)) steps.push(brief(String(value)));
  return JSON.stringify(steps);
}

function descriptionOf(element: unknown, said: Map<unknown, string>): string {
  if (!isObject(element)) return brief(String(element));
  const known = said.get(element);
  if (known !== undefined) return known;
  const words = brief(typeof element.name === 'string' ? element.name : wordsOf(element));
  said.set(element, words);
  return words;
}

function wordsOf(element: object): string {
  // Elements without a name are identified by their texts. An update may change numbers, such as tolerationSeconds.
  const words = Object.entries(element).filter(([, value]) => typeof value === 'string');
  return JSON.stringify(words.sort());
}

/** Stored values are shorter. The cut bounds the cost of a forged review. */
const brief = (text: string): string => (text.length > 512 ? `${text.length} ${text.slice(0, 512)}` : text);

/** The findings that the old object did not have. Equal findings are counted: of three where the old object had two, one is new. */
export function selectNewFindings(now: readonly Finding[], document: object, before: readonly Finding[], old: object): Finding[] {
  const said = new Map<unknown, string>();
  const known = new Map<string, number>();
  for (const finding of before) {
    const identity = identityOf(finding, old, said);
    known.set(identity, (known.get(identity) ?? 0) + 1);
  }
  return now.filter((finding) => {
    // A pod that is too large is not judged completely, so that no finding about it can be matched with an old one.
    if (finding.rule === podSize.id) return true;
    const identity = identityOf(finding, document, said);
    const left = known.get(identity) ?? 0;
    if (left > 0) known.set(identity, left - 1);
    return left === 0;
  });
}
