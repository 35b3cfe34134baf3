import type { ExemptionUse } from './exemptions.ts';
import type { Kind } from './rules/rule.ts';

export type Phase = 'mutate' | 'validate' | 'advise' | 'unknown';
export type Mode = 'enforce' | 'warn' | 'audit';

/** What enforcing would make of a pod: leave it, repair it, refuse it. */
export type Outlook = 'clean' | 'repairable' | 'refused';

/** How many findings there are of a rule and kind. */
export interface Count {
  readonly rule: string;
  readonly kind: Kind;
  readonly count: number;
}

/** What is told about one request once it is answered: names and counts, never a body. */
export interface Record {
  readonly phase: Phase;
  readonly mode: Mode;
  readonly profile: string;
  /** `failed`: it could not be judged. */
  readonly outcome: 'allowed' | 'patched' | 'denied' | 'failed';
  readonly uid?: string | undefined;
  readonly operation?: string | undefined;
  readonly kind?: string | undefined;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly grant?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly verdict?: Outlook | undefined;
  readonly counts: readonly Count[];
  readonly exempted: readonly ExemptionUse[];
  /** Why it could not be judged. */
  readonly problem?: string | undefined;
}
