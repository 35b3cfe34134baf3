import { quote, text } from '../cel.ts';
import { withCauseCel } from '../in-tree.ts';
import { DROPPED } from '../kubernetes.ts';
import { findUserNamespaceGaps } from '../wall.ts';
import type { Rule } from './rule.ts';

/**
 * In a user namespace root is root of the pod alone. Runtimes that bring their own kernel (Kata, gVisor) reject the field.
 *
 * Fields: spec.hostUsers, and the annotation that replaces it on nodes too old for it
 * Allowed: what the profile's wall requires: false, or absent
 * Fix: set it, or drop it.
 * Source: KEP-127, https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/
 */
export const userNamespace: Rule = {
  id: 'user-namespace',
  summary: 'The pod has a user namespace of its own, or a runtime with a kernel of its own.',
  fields: ['spec.hostUsers', 'metadata.annotations["io.kubernetes.cri-o.userns-mode"]'],
  checkPod(pod, report, { requirements }) {
    for (const { finding } of findUserNamespaceGaps(pod, requirements.wall)) report(finding);
  },
  inTree: {
    pod: ({ spec, annotations, isRepaired }, { wall }) => [
      ...(wall.hostUsers === false
        ? withCauseCel(`!has(${spec}.hostUsers)`, isRepaired, DROPPED.hostUsers, {
            where: `${spec}.?hostUsers.orValue(true)`,
            says: quote('hostUsers is not false, so the pod shares its users with the node'),
            remedy: quote('set it to false'),
          })
        : [
            {
              where: `has(${spec}.hostUsers)`,
              says: quote("hostUsers is set, but this profile's runtime does not accept this field"),
              remedy: quote('remove it'),
            },
          ]),
      ...wall.annotations.map(([key, value]) => ({
        where: `${annotations}[?${quote(key)}].orValue('') != ${quote(value)}`,
        // With its value: on an update, another wrong value is another finding.
        says: `${annotations}[?${quote(key)}].optMap(a, ${text`annotation ${quote(key)} is "${'a'}"`}).orValue(${quote(`annotation ${key} is not set`)})`,
        remedy: quote(`set it to ${value}`),
      })),
    ],
  },
  inTreeFixes: {
    pod: ({ spec }, { wall }) =>
      wall.hostUsers === false ? [{ path: 'spec.hostUsers', where: `${spec}.?hostUsers.orValue(true)`, set: () => 'false' }] : [],
  },
};
