import { escapesOf, type Verdict } from '../../core/judge.ts';
import { PROFILE_LABEL } from '../../core/labels.ts';
import type { PatchOp } from '../../core/patch.ts';
import type { Policy } from '../../core/policy.ts';
import { printable } from '../../core/printable.ts';
import type { Repair } from '../../core/repair.ts';
import type { EnforcementOutcome, Mode, Phase, RuleCount } from '../../core/request-record.ts';
import { podLabels } from '../../core/rules/pod-labels.ts';
import type { Finding } from '../../core/rules/rule.ts';
import { type Memory, makeMemory } from './answer-cache.ts';
import { isWatching } from './route.ts';
import { annotationsOf, type Cause, denialOf, warningsOf } from './wording.ts';

/** What we tell the API server. */
export interface Answer extends Told {
  /** The same as JSON: an answer that is given again is not written again. */
  readonly text: string;
  /** Of the text, in UTF-8. */
  readonly bytes: number;
  /** Of all findings, whether they were told or not. */
  readonly counts: readonly RuleCount[];
}

interface Told {
  readonly allowed: boolean;
  readonly patch?: readonly PatchOp[] | undefined;
  readonly warnings?: readonly string[] | undefined;
  readonly auditAnnotations?: { readonly [key: string]: string } | undefined;
  readonly denial?: { readonly code: number; readonly reason: string; readonly message: string; readonly causes: readonly Cause[] };
  /** What enforcing makes of the object, where that was asked. */
  readonly outlook?: EnforcementOutcome;
}

export const ALLOWED: Answer = written({ allowed: true });
const LEFT_TO_VALIDATION: Answer = written({ allowed: true, outlook: 'refused' });
const CLEAN: Answer = written({ allowed: true, outlook: 'clean', auditAnnotations: annotationsOf({ verdict: 'clean', findings: [] }) });

/** Workspaces are made from a few templates, so the same changes are made again and again. */
const remembered = makeMemory<Answer>({ entries: 64, size: 8192 });

/**
 * A mutating entry: never denies. It patches only if that makes the pod one that may run.
 * @param remember gives the answer that was made from the same, or makes it
 */
export function mutated(
  { findings }: Verdict,
  { patch, repaired, unresolved }: Repair,
  { profile }: Policy,
  remember: Memory<Answer> = remembered,
): Answer {
  if (unresolved.length > 0) return { ...LEFT_TO_VALIDATION, counts: countsOf(findings) };
  // Nearly always all findings are repaired; else which ones goes into the answer, too.
  const done = repaired.length === findings.length ? 'all' : repaired;
  return remember(hintOf(profile.id, findings), [profile.id, patch, findings, done], () => {
    const told: Told = {
      allowed: true,
      outlook: repaired.length > 0 ? 'repairable' : 'clean',
      patch: patch.length > 0 ? patch : undefined,
      warnings: findings.length > 0 ? warningsOf(findings, profile.id) : undefined,
      auditAnnotations: repaired.length > 0 ? annotationsOf({ changes: repaired }) : undefined,
    };
    return written(told, findings);
  });
}

/** What tells most answers apart: the rules, and the containers by their names. */
function hintOf(profile: string, findings: readonly Finding[]): string {
  let hint = profile;
  for (const { rule, container } of findings) hint += container === undefined ? ` ${rule}` : ` ${rule} ${container}`;
  return hint;
}

/** A validating entry that enforces: never repairs. */
export function enforced({ findings }: Verdict, policy: Policy, isUpdate: boolean): Answer {
  if (findings.length === 0) return CLEAN;
  const escapes = escapesOf(findings);
  const outlook = escapes.length > 0 ? 'refused' : 'clean';
  const auditAnnotations = annotationsOf({ verdict: outlook, findings });
  const told = { allowed: escapes.length === 0, outlook, auditAnnotations } as const;
  if (told.allowed) return written({ ...told, warnings: warningsOf(findings, policy.profile.id) }, findings);
  const denial = { code: 403, reason: 'Forbidden', ...denialOf(escapes, policy, isUpdate) };
  return written({ ...told, denial }, findings);
}

/** A validating entry that watches: tells what enforcing would do, and lets everything pass. */
export function watched(mode: 'warn' | 'audit', verdict: Verdict, repair: Repair, policy: Policy): Answer {
  const outlook = outlookOf(repair);
  const parts = { verdict: outlook, findings: verdict.findings };
  const auditAnnotations = annotationsOf(
    outlook === 'refused' ? parts : { verdict: outlook, patch: repair.patch, findings: verdict.findings },
  );
  const tells = mode === 'warn' && verdict.findings.length > 0;
  const warnings = tells ? warningsOf(verdict.findings, policy.profile.id) : undefined;
  return written({ allowed: true, outlook, auditAnnotations, warnings }, verdict.findings);
}

/** Advice on a template: only what its pods could not be repaired from is worth a word to its author. */
export function advised(mode: Mode, verdict: Verdict, repair: Repair, policy: Policy): Answer {
  const outlook = outlookOf(repair);
  const auditAnnotations = annotationsOf({ verdict: outlook, findings: verdict.findings });
  const tells = mode !== 'audit' && repair.unresolved.length > 0;
  const warnings = tells ? warningsOf(repair.unresolved, policy.profile.id) : undefined;
  return written({ allowed: true, outlook, auditAnnotations, warnings }, verdict.findings);
}

/** Something we cannot judge: refused where we enforce, and never in the way where we only watch. */
export function unjudged(phase: Phase, mode: Mode, problem: string): Answer {
  const message = `cloister cannot judge this: ${printable(problem)}`;
  if (phase === 'mutate') return ALLOWED;
  if (isWatching({ phase, mode })) return written({ allowed: true, warnings: [message] });
  return written({ allowed: false, denial: { code: 400, reason: 'BadRequest', message, causes: [] } });
}

/** A pod whose namespace or own label names no profile of ours. */
export function unknownProfile(mode: Mode, asked: string | undefined, known: readonly string[]): Answer {
  const what =
    asked === undefined ? 'the label of this namespace names a profile that is not configured' : `profile "${asked}" is not configured`;
  const message = printable(`${what}; configured are: ${known.length === 0 ? 'none' : known.join(', ')}`, 1024);
  const field = `metadata.labels["${PROFILE_LABEL}"]`;
  const causes = asked === undefined ? [] : [{ reason: podLabels.id, field, message }];
  const auditAnnotations = annotationsOf({ verdict: 'refused' });
  switch (mode) {
    case 'enforce':
      return written({ allowed: false, outlook: 'refused', auditAnnotations, denial: { code: 403, reason: 'Forbidden', message, causes } });
    case 'warn':
      return written({ allowed: true, outlook: 'refused', auditAnnotations, warnings: [`cloister: ${message}`] });
    case 'audit':
      return written({ allowed: true, outlook: 'refused', auditAnnotations });
    default:
      return mode satisfies never;
  }
}

function outlookOf({ repaired, unresolved }: Repair): EnforcementOutcome {
  if (unresolved.length > 0) return 'refused';
  return repaired.length > 0 ? 'repairable' : 'clean';
}

/**
 * The AdmissionReview on the wire.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
 */
export function onTheWire(uid: string, { text, bytes }: Answer): { readonly body: string; readonly bytes: number } {
  const quoted = JSON.stringify(uid);
  return { body: `${HEAD}${quoted},${text.slice(1)}}`, bytes: HEAD.length + Buffer.byteLength(quoted) + bytes + 1 };
}

const HEAD = '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":';

function written(told: Told, findings: readonly Finding[] = []): Answer {
  const { allowed, patch, warnings, auditAnnotations, denial } = told;
  const text = JSON.stringify({
    allowed,
    patchType: patch && 'JSONPatch',
    patch: patch && Buffer.from(JSON.stringify(patch)).toString('base64'),
    warnings,
    auditAnnotations,
    status: denial && statusOf(denial),
  });
  return { ...told, text, bytes: Buffer.byteLength(text), counts: countsOf(findings) };
}

function countsOf(findings: readonly Finding[]): RuleCount[] {
  const counts = new Map<string, RuleCount>();
  for (const { rule, kind } of findings) {
    const key = `${rule} ${kind}`;
    counts.set(key, { rule, kind, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()];
}

function statusOf({ code, reason, message, causes }: NonNullable<Told['denial']>): object {
  return { status: 'Failure', code, reason, message, details: causes.length === 0 ? undefined : { causes } };
}
