import { listAt, maybe, numberAt, quote, text } from '../cel.ts';
import { findEngine, hasSubordinateIds, SUBORDINATE_IDS } from '../engines.ts';
import { excerptOf } from '../excerpt.ts';
import { annotationOf, type ContainerSpec, effectiveOf, orEmpty, type Pod, specOf } from '../pod.ts';
import type { Reporter, Rule } from './rule.ts';

/**
 * A user namespace maps a fixed number of ids. The API server accepts a larger id, and the pod then never starts. A rootless engine maps the
 * subordinate ids of its image; where they are larger, the pod starts and the engine ends with an error of newuidmap.
 *
 * Fields: runAsUser, runAsGroup, fsGroup, supplementalGroups; the image of a container that starts a known rootless engine
 * Allowed: 0 up to the profile's `idsPerPod`, 65536 unless the cluster's kubelets give more; any image, with a warning
 * Fix: none, only the author knows which id the image works with.
 * Source: https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/, subuid(5)
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
    'spec.containers[*].image',
  ],
  checkPod(pod, report, { requirements }) {
    const context = specOf(pod).securityContext;
    if (context == null) return;
    const path = ['spec', 'securityContext'];
    const check = makeCheck(pod, requirements.idsPerPod, report);
    for (const field of POD_IDS) check(context[field], [...path, field]);
    for (const [index, group] of orEmpty(context.supplementalGroups).entries()) check(group, [...path, 'supplementalGroups', index]);
  },
  checkContainer(container, report, { requirements }, pod) {
    checkEngine(container.spec, requirements.idsPerPod, report);
    const check = makeCheck(pod, requirements.idsPerPod, report);
    for (const field of CONTAINER_IDS) {
      const isInherited = container.spec.securityContext?.[field] == null;
      check(effectiveOf(container, field), ['securityContext', field], isInherited ? "the pod's " : '');
    }
  },
  inTree: {
    pod({ securityContext }, { idsPerPod: ids }) {
      if (ids === undefined) return [];
      const remedy = quote(`use an id below ${ids}`);
      return [
        ...POD_IDS.map((field) => ({
          where: `${numberAt(securityContext, field)} >= ${ids}`,
          says: text`${quote(field)} ${`string(${securityContext}.${field})`} is not among the pod's ${quote(String(ids))} ids`,
          remedy,
        })),
        {
          each: [listAt(securityContext, 'supplementalGroups'), 'g'],
          where: `g >= ${ids}`,
          says: text`group ${'string(g)'} is not among the pod's ${quote(String(ids))} ids`,
          remedy,
        },
      ];
    },
    container({ securityContext, isEphemeral }, { idsPerPod: ids }) {
      if (ids === undefined) return [];
      return CONTAINER_IDS.map((field) => {
        const own = maybe('c', `securityContext.${field}`);
        const effective = `${own}.orValue(${isEphemeral} ? ${numberAt(securityContext, field)} : 0)`;
        return {
          where: `${effective} >= ${ids}`,
          says: text`${quote(field)} ${`string(${effective})`} is not among the pod's ${quote(String(ids))} ids`,
          remedy: quote(`use an id below ${ids}`),
        };
      });
    },
  },
};

function checkEngine(spec: ContainerSpec, ids: number | undefined, report: Reporter): void {
  if (ids === undefined || ids > SUBORDINATE_IDS.last) return;
  const { first, last } = SUBORDINATE_IDS;
  if (!hasSubordinateIds(spec) || findEngine(spec) === undefined) return;
  const message = `the rootless engine of this image maps ids ${first} to ${last}, which are not among the pod's ${ids} ids, so it will not start`;
  const remedy = `use an image whose /etc/subuid and /etc/subgid list ids below ${ids}, such as the workspace image`;
  report({ path: ['image'], message, remedy, kind: 'promise' });
}

const CONTAINER_IDS = ['runAsUser', 'runAsGroup'] as const;
const POD_IDS = [...CONTAINER_IDS, 'fsGroup'] as const;

type Check = (id: number | null | undefined, path: readonly (string | number)[], owner?: string) => void;

function makeCheck(pod: Pod, ids: number | undefined, report: Reporter): Check {
  return (id, path, owner = '') => {
    if (id == null || ids === undefined || id < ids) return;
    report({ path, message: `${owner}id ${id} is not among the pod's ${ids} ids`, remedy: remedyFor(id, ids, pod, owner !== '') });
  };
}

/**
 * The ids that OpenShift divides among its namespaces. A Security Context Constraint (SCC) writes them into pods, and names itself in an
 * annotation.
 * Source: https://docs.redhat.com/en/documentation/openshift_container_platform/latest/html/authentication_and_authorization/managing-pod-security-policies
 */
const isOfOpenShift = (id: number): boolean => id >= 1_000_000_000 && id < 2_000_000_000;
const SCC_ANNOTATION = 'openshift.io/scc';

function remedyFor(id: number, ids: number, pod: Pod, isInherited: boolean): string {
  const smaller = isInherited ? `set an id below ${ids} for the container` : `use an id below ${ids}`;
  if (!isOfOpenShift(id)) return smaller;
  const scc = annotationOf(pod, SCC_ANNOTATION);
  const origin =
    scc === undefined ? "an SCC of OpenShift assigns such ids from the namespace's range" : `the SCC ${excerptOf(scc)} assigned it`;
  return `${smaller}; ${origin}: choose an SCC with smaller ids, such as nested-container, with the annotation openshift.io/required-scc`;
}
