import { escapesOf, type JudgeInput } from './judge.ts';
import { DROPPED, type FeatureGate, FIELD_GATES, printOff } from './kubernetes.ts';
import { APPLIED_ANNOTATION } from './labels.ts';
import { isManaged } from './managed-fields.ts';
import type { Path } from './path.ts';
import { annotationOf, orEmpty, specOf } from './pod.ts';
import { printApplied } from './policy.ts';
import { procMount } from './rules/proc-mount.ts';
import { resourceClaims } from './rules/resource-claims.ts';
import type { Finding } from './rules/rule.ts';
import { runtimeClass } from './rules/runtime-class.ts';
import { findDroppedCertificates } from './rules/service-account-token.ts';
import { userNamespace } from './rules/user-namespace.ts';
import type { Subject } from './subject.ts';

/**
 * The findings about a new pod at its validating entry, where a field was set before and is missing now: each says who took the field away. The
 * API server drops a field whose feature gate is off after the mutating webhooks, and says nothing; another webhook may have removed it, too. A
 * repair by hand would end in the same way, so such a finding has no fix.
 *
 * The annotation `profile-applied` shows that the mutating entry repaired the pod, and `metadata.managedFields` show what was sent. An author can
 * write both: they choose the words of a finding, and never whether the pod may run.
 * @param findings of the judge
 */
export function explainDropped(findings: readonly Finding[], { subject, policy }: JudgeInput): readonly Finding[] {
  const isRepaired = annotationOf(subject.pod, APPLIED_ANNOTATION) === printApplied(policy.profile, policy.grant);
  const wasSet = (path: Path): boolean => isRepaired || isManaged(subject.document, path);
  const explained = findings.map((finding) => explain(finding, subject, wasSet));
  // Whether the mutating entry left the pod to its author, for something that the API server dropped then.
  const escapes = escapesOf(findings);
  const isLeft = !isRepaired && escapes.length > 0 && escapes.every(({ fix }) => fix !== undefined);
  const { removesToken } = policy.profile.requirementsFor(policy.grant);
  return [...findDroppedClaims(subject, isLeft), ...(isLeft && removesToken ? findDroppedCertificates(subject) : []), ...explained];
}

function explain(finding: Finding, { pod }: Subject, wasSet: (path: Path) => boolean): Finding {
  const { rule, path, fix, isWritten } = finding;
  if (fix === undefined || !('set' in fix)) return finding;
  const { hostUsers, runtimeClassName } = specOf(pod);
  if (rule === userNamespace.id && path.at(-1) === 'hostUsers' && hostUsers == null && wasSet(path)) {
    return withoutFix(finding, DROPPED.hostUsers);
  }
  if (rule === runtimeClass.id && runtimeClassName == null && wasSet(path)) {
    return withoutFix(finding, DROPPED.runtimeClassName);
  }
  // The API server sets a dropped procMount to Default.
  if (rule === procMount.id && isWritten === true && wasSet(path)) {
    const message = `procMount Unmasked was set, and it is Default now, so that containers in this container fail: ${drops('the API server resets it', FIELD_GATES.procMount, 'changed it')}`;
    return withoutFix(finding, { message, remedy: `${DROPPED.hostUsers.remedy}, or to set the grant of the profile to sudo` });
  }
  return finding;
}

const drops = (what: string, gate: FeatureGate, otherwise: string): string =>
  `${what} where ${printOff(gate)}, or another webhook ${otherwise}`;

function withoutFix({ fix, also, ...finding }: Finding, { message, remedy }: Pick<Finding, 'message' | 'remedy'>): Finding {
  return { ...finding, message, remedy };
}

/** @param isLeft whether the pod is refused, and only because the mutating entry repairs no pod with a claim */
function findDroppedClaims({ pod, at, document }: Subject, isLeft: boolean): readonly Finding[] {
  if (orEmpty(specOf(pod).resourceClaims).length > 0 || !isManaged(document, ['spec', 'resourceClaims'])) return [];
  return [
    {
      rule: resourceClaims.id,
      kind: isLeft ? 'escape' : 'promise',
      path: [...at, 'spec', 'resourceClaims'],
      message: `the pod was sent with claims of devices, and they are missing now: ${drops('the API server drops them', FIELD_GATES.resourceClaims, 'removed them')}`,
      remedy: isLeft
        ? 'remove them from the pod: a pod with a claim is not repaired'
        : 'ask the operator to turn the gate on, or remove them from the pod',
    },
  ];
}
