import { listAt, quote, text } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { orEmpty, specOf } from '../pod.ts';
import { REMOVE, type Rule } from './rule.ts';

const REMEDY = 'remove it, or ask the operator to set antiAffinity to all-namespaces';

/**
 * The scheduler honours required anti-affinity in both directions: a running pod keeps every pod that its terms select out of its node, zone or
 * region. So terms that select pods of other namespaces keep other tenants out.
 *
 * Fields: namespaces and namespaceSelector of each required term of spec.affinity.podAntiAffinity
 * Allowed: absent, or the namespace of the pod, unless the profile says `antiAffinity: all-namespaces`; preferred terms keep no pod out
 * Fix: drop both fields, so that the term selects pods of its own namespace.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#namespace-selector
 */
export const antiAffinity: Rule = {
  id: 'anti-affinity',
  summary: 'The pod keeps no pod of another namespace off a node.',
  fields: [
    'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[*].namespaces',
    'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[*].namespaceSelector',
  ],
  checkPod(pod, report, { requirements, namespace }) {
    if (requirements.allowsWideAntiAffinity) return;
    const terms = specOf(pod).affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    for (const [index, { namespaces, namespaceSelector }] of orEmpty(terms).entries()) {
      const path = ['spec', 'affinity', 'podAntiAffinity', 'requiredDuringSchedulingIgnoredDuringExecution', index];
      const other = orEmpty(namespaces).find((each) => each !== namespace);
      if (other !== undefined) {
        const message = `required anti-affinity keeps pods of namespace ${excerptOf(other)} off nodes`;
        report({ path: [...path, 'namespaces'], message, fix: REMOVE, remedy: REMEDY });
      }
      if (namespaceSelector != null) {
        const message = 'required anti-affinity selects namespaces by label, and keeps their pods off nodes';
        report({ path: [...path, 'namespaceSelector'], message, fix: REMOVE, remedy: REMEDY });
      }
    }
  },
  inTree: {
    pod({ spec }, { allowsWideAntiAffinity }) {
      if (allowsWideAntiAffinity) return [];
      const each = [listAt(spec, 'affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution'), 't'] as const;
      const others = `${listAt('t', 'namespaces')}.filter(n, n != request.namespace)`;
      return [
        {
          each,
          where: `${others}.size() > 0`,
          says: text`required anti-affinity keeps pods of namespace ${`${others}[0]`} off nodes`,
          remedy: quote(REMEDY),
        },
        {
          each,
          where: 'has(t.namespaceSelector)',
          says: quote('required anti-affinity selects namespaces by label, and keeps their pods off nodes'),
          remedy: quote(REMEDY),
        },
      ];
    },
  },
  inTreeFixes: {
    pod({ spec }, { allowsWideAntiAffinity }) {
      if (allowsWideAntiAffinity) return [];
      const path = 'affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution';
      return [
        {
          path: `spec.${path}`,
          where: `${listAt(spec, path)}.size() > 0`,
          removeKeys: (term) => ({
            namespaceSelector: 'true',
            namespaces: `!${listAt(term, 'namespaces')}.all(n, n == request.namespace)`,
          }),
        },
      ];
    },
  },
};
