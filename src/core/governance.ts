import type { Mode } from './request-record.ts';

/** A profile for each mode that is in force. */
export type ProfileByMode = Readonly<Partial<Record<Mode, string>>>;

/** The profiles of namespaces without a label, by the names of the namespaces. */
export interface Governance {
  /** The first element with a pattern that matches governs a namespace, in all modes: no later element adds to it. */
  readonly byName: readonly NamedNamespaces[];
  /** For the namespaces that no element matches. */
  readonly otherwise: ProfileByMode;
}

export interface NamedNamespaces {
  /** Patterns as `makeNamePattern` reads them. They stay texts, because the API server matches them. */
  readonly namespaces: readonly string[];
  readonly profiles: ProfileByMode;
}

/** Only labels govern. */
export const NO_GOVERNANCE: Governance = { byName: [], otherwise: {} };

/** Namespaces that Cloister never governs, besides its own. */
export const SYSTEM_NAMESPACES: readonly string[] = ['kube-node-lease', 'kube-system'];
