import type { ExemptionUse } from '../core/exemptions.ts';
import type { Kind } from '../core/rules/rule.ts';

/** What is told about one request. Only what stands here can reach a log line. */
export interface Told {
  readonly phase: string;
  readonly mode: string;
  readonly profile: string;
  readonly outcome: 'allowed' | 'patched' | 'denied' | 'failed';
  readonly uid?: string | undefined;
  readonly operation?: string | undefined;
  readonly kind?: string | undefined;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly grant?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly verdict?: string | undefined;
  readonly counts: readonly { readonly rule: string; readonly kind: Kind; readonly count: number }[];
  readonly exempted: readonly ExemptionUse[];
  readonly problem?: string | undefined;
}
