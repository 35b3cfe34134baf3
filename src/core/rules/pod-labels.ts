import { APPLIED_ANNOTATION, GRANT_LABEL, PROFILE_LABEL } from '../labels.ts';
import type { Rule } from './rule.ts';

/**
 * A pod's author may choose among what the operator offers, and nothing beyond it. A label that is invalid, or that asks for more, is
 * rejected: ignoring it would run the pod differently from what its author asked for. After creation the choice is settled, because later updates
 * are judged by the labels of the stored pod.
 *
 * Fields: metadata.labels["cloister.dev/profile"], metadata.labels["cloister.dev/grant"], metadata.annotations["cloister.dev/profile-applied"]
 * Allowed: the namespace's profile or one it may choose; a grant up to the profile's; on an update, what the stored pod has. `policy.ts` compares them.
 * Fix: none, because only the author knows what was meant.
 */
export const podLabels: Rule = {
  id: 'pod-labels',
  summary: 'The pod asks for no profile and no grant beyond what its namespace offers.',
  fields: [`metadata.labels["${PROFILE_LABEL}"]`, `metadata.labels["${GRANT_LABEL}"]`, `metadata.annotations["${APPLIED_ANNOTATION}"]`],
  checkPod(_pod, report, { labelProblems }) {
    for (const problem of labelProblems) report(problem);
  },
  inTree: {
    pod: ({ labelProblems }) => [{ each: [labelProblems, 'p'], where: 'true', says: 'p' }],
  },
};
