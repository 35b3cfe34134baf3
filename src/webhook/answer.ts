import { escapesOf, type Verdict } from '../core/judge.ts';
import { PROFILE_LABEL } from '../core/labels.ts';
import type { PatchOp } from '../core/patch.ts';
import type { Policy } from '../core/policy.ts';
import { printable } from '../core/printable.ts';
import type { Repair } from '../core/repair.ts';
import { podLabels } from '../core/rules/pod-labels.ts';
import type { Mode, Outlook, Phase } from './record.ts';
import { annotationsOf, type Cause, denialOf, warningsOf } from './texts.ts';

/** What we tell the API server, before it is wrapped for the wire. */
export interface Answer {
  readonly allowed: boolean;
  readonly patch?: readonly PatchOp[];
  readonly warnings?: readonly string[];
  readonly auditAnnotations?: { readonly [key: string]: string };
  readonly denial?: { readonly code: number; readonly reason: string; readonly message: string; readonly causes: readonly Cause[] };
  /** What enforcing makes of the object, where that was asked. */
  readonly outlook?: Outlook;
}

export const ALLOWED: Answer = { allowed: true };

/** A mutating entry: never denies. It patches only if that makes the pod one that may run. */
export function mutated(verdict: Verdict, { patch, repaired, unresolved }: Repair, policy: Policy): Answer {
  if (unresolved.length > 0) return { allowed: true, outlook: 'refused' };
  return {
    allowed: true,
    outlook: repaired.length > 0 ? 'repairable' : 'clean',
    ...(patch.length > 0 ? { patch } : {}),
    ...(verdict.findings.length > 0 ? { warnings: warningsOf(verdict.findings, policy) } : {}),
    ...(repaired.length > 0 ? { auditAnnotations: annotationsOf({ changes: repaired }) } : {}),
  };
}

/** A validating entry that enforces: never repairs. */
export function enforced(verdict: Verdict, policy: Policy, isUpdate: boolean): Answer {
  const escapes = escapesOf(verdict.findings);
  const outlook = escapes.length > 0 ? 'refused' : 'clean';
  const auditAnnotations = annotationsOf({ verdict: outlook, findings: verdict.findings });
  if (escapes.length > 0)
    return {
      allowed: false,
      outlook,
      auditAnnotations,
      denial: { code: 403, reason: 'Forbidden', ...denialOf(escapes, policy, isUpdate) },
    };
  if (verdict.findings.length === 0) return { allowed: true, outlook, auditAnnotations };
  return { allowed: true, outlook, auditAnnotations, warnings: warningsOf(verdict.findings, policy) };
}

/** A validating entry that watches: tells what enforcing would do, and lets everything pass. */
export function watched(mode: 'warn' | 'audit', verdict: Verdict, repair: Repair, policy: Policy): Answer {
  const outlook = outlookOf(repair);
  const parts = { verdict: outlook, findings: verdict.findings };
  const auditAnnotations = annotationsOf(
    outlook === 'refused' ? parts : { verdict: outlook, patch: repair.patch, findings: verdict.findings },
  );
  const tells = mode === 'warn' && verdict.findings.length > 0;
  return { allowed: true, outlook, auditAnnotations, ...(tells ? { warnings: warningsOf(verdict.findings, policy) } : {}) };
}

/** Advice on a template: only what its pods could not be repaired from is worth a word to its author. */
export function advised(mode: Mode, verdict: Verdict, repair: Repair, policy: Policy): Answer {
  const outlook = outlookOf(repair);
  const auditAnnotations = annotationsOf({ verdict: outlook, findings: verdict.findings });
  const tells = mode !== 'audit' && repair.unresolved.length > 0;
  return { allowed: true, outlook, auditAnnotations, ...(tells ? { warnings: warningsOf(repair.unresolved, policy) } : {}) };
}

/** Something we cannot judge: refused where we enforce, and never in the way where we only watch. */
export function unjudged(phase: Phase, mode: Mode, problem: string): Answer {
  const message = `cloister cannot judge this: ${printable(problem)}`;
  if (phase === 'mutate') return ALLOWED;
  if (phase === 'advise' || mode !== 'enforce') return { allowed: true, warnings: [message] };
  return { allowed: false, denial: { code: 400, reason: 'BadRequest', message, causes: [] } };
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
      return { allowed: false, outlook: 'refused', auditAnnotations, denial: { code: 403, reason: 'Forbidden', message, causes } };
    case 'warn':
      return { allowed: true, outlook: 'refused', auditAnnotations, warnings: [`cloister: ${message}`] };
    case 'audit':
      return { allowed: true, outlook: 'refused', auditAnnotations };
    default:
      return mode satisfies never;
  }
}

function outlookOf({ repaired, unresolved }: Repair): Outlook {
  if (unresolved.length > 0) return 'refused';
  return repaired.length > 0 ? 'repairable' : 'clean';
}

/**
 * The AdmissionReview on the wire.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
 */
export function onTheWire(uid: string, { allowed, patch, warnings, auditAnnotations, denial }: Answer): string {
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed,
      ...(patch === undefined ? {} : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }),
      ...(warnings === undefined ? {} : { warnings }),
      ...(auditAnnotations === undefined ? {} : { auditAnnotations }),
      ...(denial === undefined ? {} : { status: statusOf(denial) }),
    },
  });
}

function statusOf({ code, reason, message, causes }: NonNullable<Answer['denial']>): object {
  return { status: 'Failure', code, reason, message, ...(causes.length === 0 ? {} : { details: { causes } }) };
}
