import { podSize } from './rules/pod-size.ts';
import type { Finding } from './rules/rule.ts';
import { isObject } from './shape.ts';

/**
 * What stays the same about a finding while the pod around it changes: rule, container and path, in which elements of lists are known by
 * what they say, never by their index; and the word or number that the path ends at, if it does.
 * @param said what elements say, kept for the findings that come after: many may be about one
 */
export function identityOf({ rule, container, path }: Finding, document: object, said = new Map<unknown, string>()): string {
  const steps: string[] = [rule, brief(container ?? '')];
  let value: unknown = document;
  for (const step of path) {
    value =
      typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined;
    steps.push(typeof step === 'number' ? describe(value, said) : brief(step));
  }
  if (!isObject(value) && !Array.isArray(value)) steps.push(brief(String(value)));
  return JSON.stringify(steps);
}

function describe(element: unknown, said: Map<unknown, string>): string {
  if (!isObject(element)) return brief(String(element));
  const known = said.get(element);
  if (known !== undefined) return known;
  const words = brief(typeof element.name === 'string' ? element.name : wordsOf(element));
  said.set(element, words);
  return words;
}

function wordsOf(element: object): string {
  // Without a name of its own an element is known by its words; numbers, such as tolerationSeconds, are what an update may change.
  const words = Object.entries(element).filter(([, value]) => typeof value === 'string');
  return JSON.stringify(words.sort());
}

/** What the API server stores is no longer; only a forged review is, and must not cost more for it. */
const brief = (text: string): string => (text.length > 512 ? `${text.length} ${text.slice(0, 512)}` : text);

/** The findings that an object did not have before: as many of each as it has more now. */
export function newFindings(now: readonly Finding[], document: object, before: readonly Finding[], old: object): Finding[] {
  const said = new Map<unknown, string>();
  const known = new Map<string, number>();
  for (const finding of before) {
    const identity = identityOf(finding, old, said);
    known.set(identity, (known.get(identity) ?? 0) + 1);
  }
  return now.filter((finding) => {
    // Of a pod that is too large not all is known, so nothing about it can be known to be old.
    if (finding.rule === podSize.id) return true;
    const identity = identityOf(finding, document, said);
    const left = known.get(identity) ?? 0;
    if (left > 0) known.set(identity, left - 1);
    return left === 0;
  });
}
