import { type Cel, listAt, numberAt, quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import type { CelFinding } from '../in-tree.ts';
import { orEmpty, specOf } from '../pod.ts';
import { REMOVE, type Reporter, type Rule } from './rule.ts';

/**
 * The kubelet waits for the grace period before it kills the processes of a pod. A drain of the node, an eviction and the deletion of the
 * namespace wait with it, so a grace period of years keeps a node from being drained. A probe's own grace period replaces the pod's when the
 * probe fails. A drain by eviction requests (alpha in Kubernetes 1.37) also asks the eviction responders of the pod, one after the other: it waits
 * 20 minutes for one that says nothing, and as long as it likes for one that reports progress.
 *
 * Fields: terminationGracePeriodSeconds of the pod and of each probe; evictionResponders of the pod
 * Allowed: up to the profile's `maxTerminationGracePeriodSeconds`, by default an hour; no responder
 * Fix: set the maximum; remove the responder.
 * Sources: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination, the API's description of evictionResponders
 */
export const gracePeriod: Rule = {
  id: 'grace-period',
  summary: 'The pod stops within the time that its profile gives it.',
  fields: [
    'spec.terminationGracePeriodSeconds',
    'spec.containers[*].livenessProbe.terminationGracePeriodSeconds',
    'spec.containers[*].readinessProbe.terminationGracePeriodSeconds',
    'spec.containers[*].startupProbe.terminationGracePeriodSeconds',
    'spec.evictionResponders[*]',
  ],
  checkPod(pod, report, { requirements }) {
    check(specOf(pod), ['spec'], requirements.maxTerminationGracePeriodSeconds, report);
    for (const [index, { name }] of orEmpty(specOf(pod).evictionResponders).entries()) {
      const message = `eviction responder "${excerptOf(name ?? '')}" can hold up a drain of the node`;
      report({ path: ['spec', 'evictionResponders', index], message, fix: REMOVE });
    }
  },
  checkContainer({ spec }, report, { requirements }) {
    for (const probe of PROBES) check(spec[probe], [probe], requirements.maxTerminationGracePeriodSeconds, report);
  },
  inTree: {
    pod: ({ spec }, { maxTerminationGracePeriodSeconds }) => [
      periodCel(spec, '', maxTerminationGracePeriodSeconds),
      {
        // The schema of API servers before Kubernetes 1.37 lacks the field.
        each: [listAt(`dyn(${spec})`, 'evictionResponders'), 'r'],
        where: 'true',
        says: text`eviction responder "${textAt('r', 'name')}" can hold up a drain of the node`,
        remedy: quote('remove it'),
      },
    ],
    container: (_pod, { maxTerminationGracePeriodSeconds }) =>
      PROBES.map((probe) => periodCel('c', `${probe}.`, maxTerminationGracePeriodSeconds)),
  },
  inTreeFixes: {
    pod: ({ spec }, { maxTerminationGracePeriodSeconds: max }) => [
      {
        path: 'spec.terminationGracePeriodSeconds',
        where: `${numberAt(spec, 'terminationGracePeriodSeconds')} > ${max}`,
        edit: () => String(max),
      },
    ],
    container: (_pod, { maxTerminationGracePeriodSeconds: max }) =>
      PROBES.map((probe) => {
        const path = `${probe}.terminationGracePeriodSeconds`;
        return { path, where: `${numberAt('c', path)} > ${max}`, edit: () => String(max) };
      }),
  },
};

const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;

function check(
  owner: { readonly terminationGracePeriodSeconds?: number | null } | null | undefined,
  path: readonly string[],
  maxSeconds: number,
  report: Reporter,
): void {
  const seconds = owner?.terminationGracePeriodSeconds;
  if (seconds == null || seconds <= maxSeconds) return;
  const remedy = `set it to ${maxSeconds}, or ask the operator for a longer maxTerminationGracePeriodSeconds`;
  const message = `the grace period of ${seconds} seconds is longer than ${maxSeconds}`;
  report({ path: [...path, 'terminationGracePeriodSeconds'], message, fix: { set: maxSeconds }, remedy });
}

function periodCel(owner: Cel, place: string, maxSeconds: number): CelFinding {
  const seconds = numberAt(owner, `${place}terminationGracePeriodSeconds`);
  return {
    where: `${seconds} > ${maxSeconds}`,
    says: text`${quote(place)}terminationGracePeriodSeconds is ${`string(${seconds})`}, longer than ${quote(String(maxSeconds))}`,
    remedy: quote(`set it to ${maxSeconds}, or ask the operator for a longer maxTerminationGracePeriodSeconds`),
  };
}
