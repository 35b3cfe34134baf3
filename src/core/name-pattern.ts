/** The names of namespaces, profiles and containers. */
export const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Whether a whole name matches a pattern. */
export interface NamePattern {
  (name: string): boolean;
  /** As the operator wrote it, for messages. */
  readonly glob: string;
}

/**
 * A pattern of names: `*` stands for any run of characters, everything else for itself, and the whole name must match.
 *
 * Parts are searched from left to right, each at its first occurrence, so that the time is linear in the name. A regular expression would
 * try every distribution of the name among several stars, and tenants choose names.
 */
export function makeNamePattern(glob: string): NamePattern {
  return Object.assign(makeMatcher(glob), { glob });
}

function makeMatcher(glob: string): (name: string) => boolean {
  const [first = '', ...rest] = glob.split('*');
  const last = rest.pop();
  if (last === undefined) return (name) => name === glob;
  return (name) => {
    const end = name.length - last.length;
    if (end < first.length || !name.startsWith(first) || !name.endsWith(last)) return false;
    let from = first.length;
    for (const part of rest) {
      const found = name.indexOf(part, from);
      if (found === -1 || found + part.length > end) return false;
      from = found + part.length;
    }
    return true;
  };
}

export function matchesAny(patterns: readonly NamePattern[], name: string): boolean {
  return patterns.some((pattern) => pattern(name));
}
