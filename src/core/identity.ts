import { podSize } from './rules/pod-size.ts';
import type { Finding } from './rules/rule.ts';
import { isObject } from './shape.ts';

/**
 * What stays the same about a finding while the pod around it changes: rule, container and path, in which elements of lists are known by
 * what they say, never by their index.
 */
export function identityOf({ rule, container, path }: Finding, document: object): string {
  const steps: string[] = [rule, brief(container ?? '')];
  let value: unknown = document;
  for (const step of path) {
    value =
      typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined;
    steps.push(brief(typeof step === 'number' ? describe(value) : step));
  }
  return JSON.stringify(steps);
}

function describe(element: unknown): string {
  if (!isObject(element)) return String(element);
  for (const naming of ['name', 'key']) if (typeof element[naming] === 'string') return element[naming];
  // Without a name of its own an element is known by its words; numbers, such as tolerationSeconds, are what an update may change.
  const words = Object.entries(element).filter(([, value]) => typeof value === 'string');
  return JSON.stringify(words.sort());
}

/** What the API server stores is no longer; only a forged review is, and must not cost more for it. */
const brief = (text: string): string => (text.length > 512 ? `${text.length} ${text.slice(0, 512)}` : text);

/** The findings that an object did not have before: as many of each as it has more now. */
export function newFindings(now: readonly Finding[], document: object, before: readonly Finding[], old: object): Finding[] {
  const known = new Map<string, number>();
  for (const finding of before) {
    const identity = identityOf(finding, old);
    known.set(identity, (known.get(identity) ?? 0) + 1);
  }
  return now.filter((finding) => {
    // Of a pod that is too large not all is known, so nothing about it can be known to be old.
    if (finding.rule === podSize.id) return true;
    const identity = identityOf(finding, document);
    const left = known.get(identity) ?? 0;
    if (left > 0) known.set(identity, left - 1);
    return left === 0;
  });
}
