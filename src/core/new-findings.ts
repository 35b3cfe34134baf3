import { podSize } from './rules/pod-size.ts';
import type { Finding } from './rules/rule.ts';
import { isObject } from './shape.ts';

/**
 * A key that is equal for the same finding before and after an update: rule, container and path, and the text or number at the path's end.
 * In the path, list elements are identified by their content, because an update may shift their indices.
 * @param descriptions of list elements, kept between calls: many findings may be about one element
 */
export function identityOf({ rule, container, path }: Finding, document: object, descriptions = new Map<unknown, string>()): string {
  const steps: string[] = [rule, shorten(container ?? '')];
  let value: unknown = document;
  for (const step of path) {
    value =
      typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined;
    steps.push(typeof step === 'number' ? descriptionOf(value, descriptions) : shorten(step));
  }
  if (!isObject(value) && !Array.isArray(value)) steps.push(shorten(String(value)));
  return JSON.stringify(steps);
}

function descriptionOf(element: unknown, descriptions: Map<unknown, string>): string {
  if (!isObject(element)) return shorten(String(element));
  const known = descriptions.get(element);
  if (known !== undefined) return known;
  const description = shorten(typeof element.name === 'string' ? element.name : textsOf(element));
  descriptions.set(element, description);
  return description;
}

/** Elements without a name are identified by their texts: an update may change numbers, such as tolerationSeconds. */
function textsOf(element: object): string {
  const texts = Object.entries(element).filter(([, value]) => typeof value === 'string');
  return JSON.stringify(texts.sort());
}

/** Stored values are shorter. The cut bounds the cost of a forged review. */
const shorten = (text: string): string => (text.length > 512 ? `${text.length} ${text.slice(0, 512)}` : text);

/** The findings that the old object did not have. Equal findings are counted: of three where the old object had two, one is new. */
export function selectNewFindings(now: readonly Finding[], document: object, before: readonly Finding[], old: object): Finding[] {
  const descriptions = new Map<unknown, string>();
  const known = new Map<string, number>();
  for (const finding of before) {
    const identity = identityOf(finding, old, descriptions);
    known.set(identity, (known.get(identity) ?? 0) + 1);
  }
  return now.filter((finding) => {
    // A pod that is too large is not judged completely, so that no finding about it can be matched with an old one.
    if (finding.rule === podSize.id) return true;
    const identity = identityOf(finding, document, descriptions);
    const left = known.get(identity) ?? 0;
    if (left > 0) known.set(identity, left - 1);
    return left === 0;
  });
}
