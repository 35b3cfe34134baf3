import { specOf } from '../pod.ts';
import type { Terms } from '../terms.ts';
import { REMOVE, type Rule } from './rule.ts';

/**
 * The runtime class is the wall of Sysbox, Kata and gVisor: with another one the pod lands on the node's own runtime, where all else
 * that it was granted becomes real.
 *
 * Fields: spec.runtimeClassName
 * Allowed: a class of the profile's; under user namespaces also none
 * Fix: set the profile's class, or drop a foreign one. What the API server merged from the foreign class into nodeSelector and tolerations
 * cannot be told from the author's own and stays.
 * Source: https://kubernetes.io/docs/concepts/containers/runtime-class/
 */
export const runtimeClass: Rule = {
  id: 'runtime-class',
  summary: "The pod runs on one of the profile's runtime classes.",
  fields: ['spec.runtimeClassName'],
  checkPod(pod, report, { terms }) {
    const { runtimeClassName } = specOf(pod);
    if (hasClass(runtimeClassName, terms)) return;
    const wanted = terms.wall.runtimeClassName;
    const message =
      runtimeClassName == null
        ? 'runtimeClassName is not set'
        : `runtimeClassName "${runtimeClassName}" is not this profile's (what it put into nodeSelector and tolerations stays)`;
    report({ path: ['spec', 'runtimeClassName'], message, fix: wanted === undefined ? REMOVE : { set: wanted } });
  },
};

export function hasClass(runtimeClassName: string | null | undefined, { wall }: Terms): boolean {
  if (runtimeClassName == null) return wall.runtimeClassName === undefined;
  return runtimeClassName === wall.runtimeClassName || wall.runtimeClasses.has(runtimeClassName);
}
