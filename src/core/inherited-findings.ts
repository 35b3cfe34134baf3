import { type Path, valueAt } from './path.ts';
import { orEmpty, specOf } from './pod.ts';
import type { Finding } from './rules/rule.ts';
import type { Subject } from './subject.ts';

/**
 * Leaves out the findings about settings that an ephemeral container inherits from its pod, if the same rule reports an escape for the setting of the
 * pod. A fix of the pod also fixes the container, so the second finding adds nothing.
 */
export function withoutInherited(findings: readonly Finding[], { pod, at, document }: Subject): readonly Finding[] {
  if (orEmpty(specOf(pod).ephemeralContainers).length === 0) return findings;
  const ofPod = new Set(
    findings.flatMap(({ rule, kind, container, path }) =>
      kind === 'escape' && container === undefined ? [keyOf(rule, path.slice(at.length + 1))] : [],
    ),
  );
  const isInherited = ({ rule, path }: Finding): boolean =>
    path[at.length + 1] === 'ephemeralContainers' &&
    valueAt(document, path) == null &&
    ofPod.has(keyOf(rule, path.slice(at.length + CONTAINER_DEPTH)));
  return findings.filter((finding) => !isInherited(finding));
}

/** Of a path to a container: `spec`, its list, and its index. */
const CONTAINER_DEPTH = 3;

/** @param path from the spec of a pod, or from a container: a setting that both have is at the same path in each */
const keyOf = (rule: string, path: Path): string => JSON.stringify([rule, ...path]);
