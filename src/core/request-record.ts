import type { ExemptionUse } from './exemptions.ts';
import type { FindingKind } from './rules/rule.ts';

/** The vocabulary of one request, which the webhook and its telemetry share: types and lists only. */

export const PHASES = ['mutate', 'validate', 'advise', 'unknown'] as const;
export type Phase = (typeof PHASES)[number];

export type Mode = 'enforce' | 'warn' | 'audit';

/** What enforcement would do with a pod: admit it unchanged, repair it, refuse it. */
export type EnforcementOutcome = 'clean' | 'repairable' | 'refused';

/** `failed`: the request could not be judged. */
export type RequestOutcome = 'allowed' | 'patched' | 'denied' | 'failed';

/**
 * Why a review is shed, so that the API server sends it again later: the event loop is delayed; too many bodies are arriving; all bodies hold too
 * many bytes; bodies with too many bytes wait to be judged.
 */
export const SHED_REASONS = ['late', 'arriving', 'bytes', 'waiting'] as const;
export type ShedReason = (typeof SHED_REASONS)[number];

/** How a worker is lost. `ended`: it exited because of a bug. `memory`: its memory was full. `overdue`: it was terminated after its time limit. */
export const WORKER_LOSSES = ['ended', 'memory', 'overdue'] as const;
export type WorkerLoss = (typeof WORKER_LOSSES)[number];

/**
 * Why a connection is closed early. `full`: there were too many. `idle`: too many of one network were idle. `pipelined`: too many of its requests
 * waited for their answers. `handshakes`: its TLS handshake took long while others waited. `unread`: the caller did not read its answer in time, or all
 * answers that wait to be read had too many bytes.
 */
export const CLOSE_REASONS = ['full', 'handshakes', 'idle', 'pipelined', 'unread'] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

/** The number of findings of one rule and kind. */
export interface RuleCount {
  readonly rule: string;
  readonly kind: FindingKind;
  readonly count: number;
}

/** The record of one answered request: names and counts, never a body. Nothing else can reach a log line. */
export interface RequestRecord {
  readonly phase: Phase;
  readonly mode: Mode;
  readonly profile: string;
  readonly outcome: RequestOutcome;
  readonly uid?: string | undefined;
  readonly operation?: string | undefined;
  readonly kind?: string | undefined;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly grant?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly verdict?: EnforcementOutcome | undefined;
  readonly counts: readonly RuleCount[];
  readonly exempted: readonly ExemptionUse[];
  /** Why the request could not be judged. */
  readonly problem?: string | undefined;
}
