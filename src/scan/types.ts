import type { Governance } from '../core/governance.ts';
import type { PolicyConfig } from '../core/policy.ts';
import type { Profile } from '../core/profiles/profile.ts';

/** What a scan reads, and what it judges by. */
export interface ScanSettings extends PolicyConfig {
  readonly governance: Governance;
  /** The profile that `--profile` names: every pod is judged as if its namespace enforced this profile. */
  readonly preview: Profile | undefined;
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[];
  /** A label selector of pods. */
  readonly labels: string | undefined;
  /** Namespaces that Cloister never governs. */
  readonly excluded: ReadonlySet<string>;
  /** Pods in one page of a list. */
  readonly pageSize: number;
  readonly now: Date;
}

export interface NamespaceFacts {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  /** When the fields of the manager that set a label were last changed, by label: the label itself may be older. */
  readonly labelTimes: ReadonlyMap<string, Date>;
}
