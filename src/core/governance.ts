import { NAMESPACE_LABELS } from './labels.ts';
import { makeNamePattern } from './name-pattern.ts';
import type { Mode } from './request-record.ts';

/** A profile for each mode that is in force. */
export type ProfileByMode = Readonly<Partial<Record<Mode, string>>>;

/** The profiles of namespaces without a label, by the names of the namespaces. */
export interface Governance {
  /** The first element with a pattern that matches governs a namespace, in all modes: no later element adds to it. */
  readonly byName: readonly NamedNamespaces[];
  /** For the namespaces that no element matches. */
  readonly otherwise: ProfileByMode;
  /** The namespaces that nothing governs, not even a label. Names and no patterns. Absent: none, besides those that Cloister never governs. */
  readonly excluded?: readonly string[];
}

export interface NamedNamespaces {
  /** Patterns as `makeNamePattern` reads them. They stay texts, because the API server matches them. */
  readonly namespaces: readonly string[];
  readonly profiles: ProfileByMode;
}

/** The governance of a configuration without `governs` and `default`: only labels count. */
export const NO_GOVERNANCE: Governance = { byName: [], otherwise: {} };

/** Namespaces that Cloister never governs, besides its own. */
export const SYSTEM_NAMESPACES: readonly string[] = ['kube-node-lease', 'kube-system'];

/** Whether no label and no configuration can govern the namespace. */
export function isExcluded(namespace: string, { excluded = [] }: Governance): boolean {
  return SYSTEM_NAMESPACES.includes(namespace) || excluded.includes(namespace);
}

/** The profiles of one namespace without a label, and the part of the configuration that gives them to it. */
export interface Governed {
  readonly profiles: ProfileByMode;
  /** As messages print it: `governs[0] (gl-rd-ns-*)` or `default`. */
  readonly by: string;
}

/**
 * The profiles that the webhook entries apply to a namespace by its name, for the modes for which the namespace has no label.
 * @returns undefined: none, because the configuration does not name the namespace, excludes it, or may not govern it
 */
export function governedBy(namespace: string, governance: Governance): Governed | undefined {
  if (isExcluded(namespace, governance)) return undefined;
  const { byName, otherwise } = governance;
  for (const [index, { namespaces, profiles }] of byName.entries()) {
    const pattern = namespaces.find((each) => makeNamePattern(each)(namespace));
    if (pattern !== undefined) return governs(profiles) ? { profiles, by: `governs[${index}] (${pattern})` } : undefined;
  }
  return governs(otherwise) ? { profiles: otherwise, by: 'default' } : undefined;
}

/** A profile that is in force in a namespace. */
export interface ProfileInForce {
  readonly mode: Mode;
  /** As the label or the configuration names it: it may not be configured. */
  readonly profile: string;
  /** The part of the configuration that names it; undefined: the label of the namespace. */
  readonly by: string | undefined;
}

export const STRICTEST_FIRST = ['enforce', 'warn', 'audit'] as const satisfies readonly Mode[];

/**
 * For each mode that is in force in a namespace: its label, or without it the configuration. The webhook entries select in the same way.
 * @param labelOf a label of the namespace; undefined: it has none
 */
export function profilesInForce(
  namespace: string,
  labelOf: (key: string) => string | undefined,
  governance: Governance,
): readonly ProfileInForce[] {
  if (isExcluded(namespace, governance)) return [];
  const governed = governedBy(namespace, governance);
  return STRICTEST_FIRST.flatMap((mode): ProfileInForce[] => {
    const label = labelOf(NAMESPACE_LABELS[mode]);
    if (label !== undefined) return [{ mode, profile: label, by: undefined }];
    const profile = governed?.profiles[mode];
    return governed === undefined || profile === undefined ? [] : [{ mode, profile, by: governed.by }];
  });
}

/** Whether a profile is in force in any mode. */
export const governs = (profiles: ProfileByMode): boolean => Object.keys(profiles).length > 0;

/** Whether a namespace can be governed by its name. */
export const governsAny = ({ byName, otherwise }: Governance): boolean =>
  [otherwise, ...byName.map(({ profiles }) => profiles)].some(governs);
