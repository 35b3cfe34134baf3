import { listOf, quote, textAt } from '../cel.ts';
import { specOf } from '../pod.ts';
import { classesOf, isClassOf } from '../wall.ts';
import { REMOVE, type Rule } from './rule.ts';

/**
 * The API server writes the overhead of a runtime class, and rejects a pod with the overhead of another class. So when the class changes, the
 * overhead of the old class is removed, and the API server writes the new one.
 *
 * Fields: spec.overhead
 * Allowed: anything together with a class of the profile
 * Fix: drop it.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-overhead/
 */
export const overhead: Rule = {
  id: 'overhead',
  summary: 'The pod has no overhead that belongs to another runtime class.',
  fields: ['spec.overhead'],
  checkPod(pod, report, { requirements }) {
    const spec = specOf(pod);
    if (spec.overhead == null || (spec.runtimeClassName != null && isClassOf(requirements.wall, spec.runtimeClassName))) return;
    report({ path: ['spec', 'overhead'], message: 'overhead belongs to no runtime class of this profile', fix: REMOVE });
  },
  inTree: {
    pod: ({ spec }, { wall }) => [
      {
        where: `has(${spec}.overhead) && !(${textAt(spec, 'runtimeClassName')} in ${listOf(classesOf(wall))})`,
        says: quote('overhead belongs to no runtime class of this profile'),
        remedy: quote('remove it'),
      },
    ],
  },
  inTreeFixes: {
    pod: ({ spec }, { wall }) => [
      {
        path: 'spec.overhead',
        where: `has(${spec}.overhead) && !(${textAt(spec, 'runtimeClassName')} in ${listOf(classesOf(wall))})`,
        remove: true,
      },
    ],
  },
};
