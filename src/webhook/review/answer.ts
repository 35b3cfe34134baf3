import { escapesOf, type Verdict } from '../../core/judge.ts';
import { PROFILE_LABEL } from '../../core/labels.ts';
import type { PatchOp } from '../../core/patch.ts';
import { type Policy, type PolicyConfig, printConfigured, printUnknownProfile } from '../../core/policy.ts';
import { printable } from '../../core/printable.ts';
import type { Repair } from '../../core/repair.ts';
import type { EnforcementOutcome, Mode, Phase, RuleCount } from '../../core/request-record.ts';
import { podLabels } from '../../core/rules/pod-labels.ts';
import { makeSizeFinding } from '../../core/rules/pod-size.ts';
import type { Finding } from '../../core/rules/rule.ts';
import type { AnswerCache } from './answer-cache.ts';
import { isWatching } from './route.ts';
import { annotationsOf, type Cause, denialOf, type PodOperation, warningsOf } from './wording.ts';

/** An answer to the API server. */
export interface Answer extends AnswerFields {
  /** The `response` of the AdmissionReview as JSON, without its uid: a cached answer is not printed again. */
  readonly text: string;
  /** Length of the text in UTF-8. */
  readonly bytes: number;
  /** Of all findings, including those that the answer does not list. */
  readonly counts: readonly RuleCount[];
}

interface AnswerFields {
  readonly allowed: boolean;
  readonly patch?: readonly PatchOp[] | undefined;
  readonly warnings?: readonly string[] | undefined;
  readonly auditAnnotations?: { readonly [key: string]: string } | undefined;
  readonly denial?: { readonly code: number; readonly reason: string; readonly message: string; readonly causes: readonly Cause[] };
  /** Absent: the object was not judged. */
  readonly verdict?: EnforcementOutcome;
}

/** The most bytes of an answer. This process keeps an answer in memory until the API server has read it. `MAX_PATCH_BYTES` limits the patch in it. */
export const MAX_ANSWER_BYTES = 256 * 1024;

export const ALLOWED: Answer = buildAnswer({ allowed: true });
const LEFT_TO_VALIDATION: Answer = buildAnswer({ allowed: true, verdict: 'refused' });
const CLEAN: Answer = buildAnswer({ allowed: true, verdict: 'clean', auditAnnotations: annotationsOf({ verdict: 'clean', findings: [] }) });

/**
 * Answers a mutating entry, which never denies. A pod that a person must change gets no warning about its partial repair: it is refused.
 * @param cache makes each answer once
 */
export function answerMutate(
  { findings }: Verdict,
  { patch, patchText, repaired, unresolved }: Omit<Repair, 'subject'>,
  { profile }: Policy,
  cache: AnswerCache<Answer>,
): Answer {
  if (unresolved.length > 0) {
    return patch.length === 0
      ? { ...LEFT_TO_VALIDATION, counts: countsOf(findings) }
      : buildAnswer({ allowed: true, verdict: 'refused', patch }, findings);
  }
  // Usually all findings are repaired. Otherwise the answer depends on which findings are repaired, so they are part of the key.
  const done = repaired.length === findings.length ? 'all' : repaired;
  // The lengths distinguish most answers, and cost less than a text of everything that distinguishes them.
  const bucket = `${profile.id} ${patchText.length} ${findings.length}`;
  return cache(bucket, [profile.id, patchText, findings, done], () => {
    const fields: AnswerFields = {
      allowed: true,
      verdict: repaired.length > 0 ? 'repairable' : 'clean',
      patch: patch.length > 0 ? patch : undefined,
      warnings: findings.length > 0 ? warningsOf(findings, profile.id) : undefined,
      auditAnnotations: repaired.length > 0 ? annotationsOf({ changes: repaired }) : undefined,
    };
    return buildAnswer(fields, findings);
  });
}

/** Answers a validating entry that enforces: it never repairs. An answer that would be too large has one finding, which says so. */
export function answerEnforce(verdict: Verdict, policy: Policy, operation: PodOperation): Answer {
  const answer = listFindings(verdict, policy, operation);
  if (answer.bytes <= MAX_ANSWER_BYTES) return answer;
  return listFindings({ ...verdict, findings: [makeSizeFinding('answer', [])] }, policy, operation);
}

function listFindings(judged: Verdict, policy: Policy, operation: PodOperation): Answer {
  const { findings } = judged;
  if (findings.length === 0) return CLEAN;
  const escapes = escapesOf(findings);
  const verdict = escapes.length > 0 ? 'refused' : 'clean';
  const auditAnnotations = annotationsOf({ verdict, findings });
  const fields = { allowed: escapes.length === 0, verdict, auditAnnotations } as const;
  if (fields.allowed) return buildAnswer({ ...fields, warnings: warningsOf(findings, policy.profile.id) }, findings);
  const denial = { code: 403, reason: 'Forbidden', ...denialOf(judged, policy, operation) };
  return buildAnswer({ ...fields, denial }, findings);
}

/** Answers a validating entry that warns or audits: it reports what enforcement would do, and admits everything. */
export function answerWatch(mode: 'warn' | 'audit', { findings }: Verdict, repair: Repair, policy: Policy): Answer {
  const verdict = verdictOf(repair);
  const auditAnnotations = annotationsOf(verdict === 'refused' ? { verdict, findings } : { verdict, patch: repair.patch, findings });
  const warnings = mode === 'warn' && findings.length > 0 ? warningsOf(findings, policy.profile.id, repair.unresolved) : undefined;
  return buildAnswer({ allowed: true, verdict, auditAnnotations, warnings }, findings);
}

/** Answers a review of a workload. It warns about the template only where its pods will be denied. */
export function answerAdvise(mode: Mode, { findings }: Verdict, repair: Repair, policy: Policy): Answer {
  const verdict = verdictOf(repair);
  const auditAnnotations = annotationsOf({ verdict, findings });
  const { unresolved } = repair;
  const warnings = mode !== 'audit' && unresolved.length > 0 ? warningsOf(unresolved, policy.profile.id, unresolved) : undefined;
  return buildAnswer({ allowed: true, verdict, auditAnnotations, warnings }, findings);
}

/** Answers a review that cannot be judged: an entry that enforces denies it, every other entry admits it with a warning. */
export function answerUnjudged(phase: Phase, mode: Mode, problem: string): Answer {
  const message = `cloister cannot judge this: ${printable(problem)}`;
  if (phase === 'mutate') return ALLOWED;
  if (isWatching({ phase, mode })) return buildAnswer({ allowed: true, warnings: [message] });
  return buildAnswer({ allowed: false, denial: { code: 400, reason: 'BadRequest', message, causes: [] } });
}

/**
 * Answers for a pod whose namespace, or own label, names a profile that is not configured.
 * @param label of the pod itself
 * @param change why an update is not admitted without a profile, as text that follows "the update"
 */
export function answerUnknownProfile(
  mode: Mode,
  profiles: PolicyConfig['profiles'],
  { label, change }: { readonly label?: string | undefined; readonly change?: string | undefined } = {},
): Answer {
  // A pod may well name a configured profile where its namespace does not.
  const profile = label !== undefined && !profiles.has(label) ? label : undefined;
  const what = profile === undefined ? 'the label of this namespace names a profile that is not configured' : printUnknownProfile(profile);
  const why = change === undefined ? '' : `, and the update ${change}`;
  const message = printable(`${what}${why}; ${printConfigured(profiles)}`, 1024);
  const field = `metadata.labels["${PROFILE_LABEL}"]`;
  const causes = profile === undefined ? [] : [{ reason: podLabels.id, field, message }];
  const auditAnnotations = annotationsOf({ verdict: 'refused' });
  switch (mode) {
    case 'enforce':
      return buildAnswer({
        allowed: false,
        verdict: 'refused',
        auditAnnotations,
        denial: { code: 403, reason: 'Forbidden', message, causes },
      });
    case 'warn':
      return buildAnswer({ allowed: true, verdict: 'refused', auditAnnotations, warnings: [`cloister: ${message}`] });
    case 'audit':
      return buildAnswer({ allowed: true, verdict: 'refused', auditAnnotations });
    default:
      return mode satisfies never;
  }
}

function verdictOf({ repaired, unresolved }: Repair): EnforcementOutcome {
  if (unresolved.length > 0) return 'refused';
  return repaired.length > 0 ? 'repairable' : 'clean';
}

/**
 * Prints the AdmissionReview that is sent.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
 */
export function printReview(uid: string, { text, bytes }: Answer): { readonly body: string; readonly bytes: number } {
  const quoted = JSON.stringify(uid);
  return { body: `${HEAD}${quoted},${text.slice(1)}}`, bytes: HEAD.length + Buffer.byteLength(quoted) + bytes + 1 };
}

const HEAD = '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":';

function buildAnswer(fields: AnswerFields, findings: readonly Finding[] = []): Answer {
  const { allowed, patch, warnings, auditAnnotations, denial } = fields;
  const text = JSON.stringify({
    allowed,
    patchType: patch && 'JSONPatch',
    patch: patch && Buffer.from(JSON.stringify(patch)).toString('base64'),
    warnings,
    auditAnnotations,
    status: denial && statusOf(denial),
  });
  return { ...fields, text, bytes: Buffer.byteLength(text), counts: countsOf(findings) };
}

function countsOf(findings: readonly Finding[]): RuleCount[] {
  const counts = new Map<string, RuleCount>();
  for (const { rule, kind } of findings) {
    const key = `${rule} ${kind}`;
    counts.set(key, { rule, kind, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()];
}

function statusOf({ code, reason, message, causes }: NonNullable<AnswerFields['denial']>): object {
  return { status: 'Failure', code, reason, message, details: causes.length === 0 ? undefined : { causes } };
}
