import { type Cel, numberAt, quote, text } from '../cel.ts';
import type { CelFinding } from '../in-tree.ts';
import { specOf } from '../pod.ts';
import type { Reporter, Rule } from './rule.ts';

/**
 * The kubelet waits for the grace period before it kills the processes of a pod. A drain of the node, an eviction and the deletion of the
 * namespace wait with it, so a grace period of years keeps a node from being drained. A probe's own grace period replaces the pod's when the
 * probe fails.
 *
 * Fields: terminationGracePeriodSeconds of the pod and of each probe
 * Allowed: up to the profile's `maxTerminationGracePeriodSeconds`, by default an hour
 * Fix: set the maximum.
 * Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
 */
export const gracePeriod: Rule = {
  id: 'grace-period',
  summary: 'The pod stops within the time that its profile gives it.',
  fields: [
    'spec.terminationGracePeriodSeconds',
    'spec.containers[*].livenessProbe.terminationGracePeriodSeconds',
    'spec.containers[*].readinessProbe.terminationGracePeriodSeconds',
    'spec.containers[*].startupProbe.terminationGracePeriodSeconds',
  ],
  checkPod(pod, report, { requirements }) {
    check(specOf(pod), ['spec'], requirements.maxTerminationGracePeriodSeconds, report);
  },
  checkContainer({ spec }, report, { requirements }) {
    for (const probe of PROBES) check(spec[probe], [probe], requirements.maxTerminationGracePeriodSeconds, report);
  },
  inTree: {
    pod: ({ spec }, { maxTerminationGracePeriodSeconds }) => [periodCel(spec, '', maxTerminationGracePeriodSeconds)],
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
