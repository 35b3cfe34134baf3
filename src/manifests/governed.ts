import type { Governance, ProfileByMode } from '../core/governance.ts';

/**
 * A CEL expression: whether `isSelected` accepts the profiles that govern the namespace of a request by its name. It is `true` or `false` if all
 * profiles, or none, are selected. The conditions are in the order of the configuration, so that the first match counts.
 */
export function governedWhere(isSelected: (profiles: ProfileByMode) => boolean, { byName, otherwise }: Governance): string {
  const rest = isSelected(otherwise);
  if (byName.every(({ profiles }) => isSelected(profiles) === rest)) return String(rest);
  return [...byName.map(({ namespaces, profiles }) => `${isNamed(namespaces)} ? ${isSelected(profiles)} :`), String(rest)].join('\n');
}

/** A CEL expression: the name of the profile that is enforced in the namespace of a request by its name; empty: none is. */
export function enforcedByName({ byName, otherwise }: Governance): string {
  const nameOf = ({ enforce = '' }: ProfileByMode): string => `'${enforce}'`;
  const rest = nameOf(otherwise);
  if (byName.every(({ profiles }) => nameOf(profiles) === rest)) return rest;
  return [...byName.map(({ namespaces, profiles }) => `${isNamed(namespaces)} ? ${nameOf(profiles)} :`), rest].join('\n');
}

/** The patterns have only lower-case letters, digits, dashes and `*`, so nothing in them must be escaped. */
function isNamed(patterns: readonly string[]): string {
  return `request.namespace.matches('^(${patterns.join('|').replaceAll('*', '.*')})$')`;
}
