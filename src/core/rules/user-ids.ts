import { effectiveOf, orEmpty, specOf } from '../pod.ts';
import type { Reporter, Rule } from './rule.ts';

/**
 * A user namespace maps a fixed number of ids. The API server accepts a larger id, and the pod then never starts.
 *
 * Fields: runAsUser, runAsGroup, fsGroup, supplementalGroups
 * Allowed: 0 up to the profile's `idsPerPod`, 65536 unless the cluster's kubelets give more
 * Fix: none, only the author knows which id the image works with.
 * Source: https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/
 */
export const userIds: Rule = {
  id: 'user-ids',
  summary: "User and group ids lie within the pod's user namespace.",
  fields: [
    'spec.securityContext.runAsUser',
    'spec.securityContext.runAsGroup',
    'spec.securityContext.fsGroup',
    'spec.securityContext.supplementalGroups[*]',
    'spec.containers[*].securityContext.runAsUser',
    'spec.containers[*].securityContext.runAsGroup',
  ],
  checkPod(pod, report, { requirements }) {
    const context = specOf(pod).securityContext;
    if (context == null) return;
    const path = ['spec', 'securityContext'];
    for (const field of POD_IDS) checkId(context[field], [...path, field], requirements.idsPerPod, report);
    for (const [index, group] of orEmpty(context.supplementalGroups).entries()) {
      checkId(group, [...path, 'supplementalGroups', index], requirements.idsPerPod, report);
    }
  },
  checkContainer(container, report, { requirements }) {
    for (const field of CONTAINER_IDS) checkId(effectiveOf(container, field), ['securityContext', field], requirements.idsPerPod, report);
  },
};

const CONTAINER_IDS = ['runAsUser', 'runAsGroup'] as const;
const POD_IDS = [...CONTAINER_IDS, 'fsGroup'] as const;

function checkId(id: number | null | undefined, path: (string | number)[], ids: number | undefined, report: Reporter): void {
  if (id == null || ids === undefined || id < ids) return;
  report({ path, message: `id ${id} is not among the pod's ${ids} ids`, remedy: `use an id below ${ids}` });
}
