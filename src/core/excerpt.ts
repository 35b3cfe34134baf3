/** The most characters of a value that a message quotes. Names that the API server accepts are not much longer. */
const MAX_EXCERPT_CHARS = 100;

/**
 * The beginning of a value that a pod's author wrote, for a message that quotes it. A value of the pod may be in the findings of each of its
 * containers, and each value may be as long as the pod: a message is cut before it is made, so that its cost is bounded.
 */
export function excerptOf(text: string): string {
  return text.length > MAX_EXCERPT_CHARS ? `${text.slice(0, MAX_EXCERPT_CHARS - 1)}…` : text;
}
