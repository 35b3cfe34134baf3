import { GRANT_LABEL, PROFILE_LABEL } from '../labels.ts';
import type { Rule } from './rule.ts';

/**
 * A pod's author may choose among what the operator offers, and never beyond it. A label that cannot be read, or that would loosen, is
 * refused: passing over it would run the pod as something its author did not ask for.
 *
 * Fields: metadata.labels["cloister.dev/profile"], metadata.labels["cloister.dev/grant"]
 * Allowed: the namespace's profile or one it may choose; a grant up to the profile's. `policy.ts` compares them.
 * Fix: none, the author must say what is meant.
 */
export const podLabels: Rule = {
  id: 'pod-labels',
  summary: 'The pod asks for no profile and no grant beyond what its namespace offers.',
  fields: [`metadata.labels["${PROFILE_LABEL}"]`, `metadata.labels["${GRANT_LABEL}"]`],
  checkPod(_pod, report, { labelProblems }) {
    for (const problem of labelProblems) report(problem);
  },
};
