import { listOf, quote, text, textAt } from '../cel.ts';
import { withCauseCel } from '../in-tree.ts';
import { DROPPED } from '../kubernetes.ts';
import { classesOf, findRuntimeClassGaps } from '../wall.ts';
import type { Rule } from './rule.ts';

/**
 * The runtime class is the wall of Sysbox, Kata and gVisor: with another class the pod runs on the node's default runtime, where everything
 * else that it was granted acts on the node itself.
 *
 * Fields: spec.runtimeClassName
 * Allowed: a class of the profile; under user namespaces also none
 * Fix: set the profile's class, or drop a foreign one. What the API server merged from the foreign class into nodeSelector and tolerations
 * cannot be distinguished from what the author wrote, and stays.
 * Source: https://kubernetes.io/docs/concepts/containers/runtime-class/
 */
export const runtimeClass: Rule = {
  id: 'runtime-class',
  summary: "The pod runs on one of the profile's runtime classes.",
  fields: ['spec.runtimeClassName'],
  checkPod(pod, report, { requirements }) {
    for (const { finding } of findRuntimeClassGaps(pod, requirements.wall)) report(finding);
  },
  inTree: {
    pod({ spec, isRepaired }, { wall }) {
      const found = textAt(spec, 'runtimeClassName');
      const change = wall.runtimeClassName === undefined ? 'remove it' : `set it to ${wall.runtimeClassName}`;
      const foreign = {
        where: `!(${found} in ${listOf([...classesOf(wall), ...(wall.runtimeClassName === undefined ? [''] : [])])})`,
        says: text`runtimeClassName "${found}" does not belong to this profile`,
        remedy: quote(`${change}, or ask the operator to list it in the runtimeClasses of the profile`),
      };
      return wall.runtimeClassName === undefined
        ? [foreign]
        : withCauseCel(`!has(${spec}.runtimeClassName)`, isRepaired, DROPPED.runtimeClassName, foreign);
    },
  },
  inTreeFixes: {
    pod({ spec }, { wall }) {
      const [path, found] = ['spec.runtimeClassName', textAt(spec, 'runtimeClassName')];
      const isForeign = `!(${found} in ${listOf(classesOf(wall))})`;
      const { runtimeClassName: wanted } = wall;
      return [
        wanted === undefined
          ? { path, where: `has(${spec}.runtimeClassName) && ${isForeign}`, remove: true }
          : { path, where: isForeign, set: () => quote(wanted) },
      ];
    },
  },
};
