import { anyOf, type Cel, listAt, textAt } from './cel.ts';
import { isEqualJson } from './json.ts';
import { CONTAINER_LISTS, type ContainerSpec, orEmpty, type Pod, specOf } from './pod.ts';
import { printable } from './printable.ts';

/**
 * What an update of a pod changes, as text that follows "the update"; undefined: no change of this kind. The API server lets an update change few
 * fields of a spec.
 * Source: ValidatePodUpdate in k8s.io/kubernetes/pkg/apis/core/validation
 */
type Change = string | undefined;

/**
 * A program that an update adds: a container in any list, or another image in one. Pod Security judges the whole pod on such an update, the
 * subresource `ephemeralcontainers` included.
 * Source: isSignificantPodUpdate in k8s.io/pod-security-admission/admission
 */
export function findAddedProgram(pod: Pod, old: Pod): Change {
  for (const list of CONTAINER_LISTS) {
    const before = orEmpty(specOf(old)[list]);
    const left = new Map<string, number>();
    for (const container of before) left.set(programOf(container), (left.get(programOf(container)) ?? 0) + 1);
    for (const container of orEmpty(specOf(pod)[list])) {
      const count = left.get(programOf(container)) ?? 0;
      if (count === 0) return describeProgram(container, before);
      left.set(programOf(container), count - 1);
    }
  }
  return undefined;
}

const programOf = ({ name, image }: ContainerSpec): string => JSON.stringify([name, image]);

function describeProgram({ name }: ContainerSpec, before: readonly ContainerSpec[]): string {
  const quoted = `container "${printable(name ?? '', 64)}"`;
  return before.some((each) => each.name === name) ? `gives ${quoted} another image` : `adds ${quoted}`;
}

/** A pod with a scheduling gate has not started. The removal of its last gate starts it, just as creation starts a pod without gates. */
export function findStart(pod: Pod, old: Pod): Change {
  return countGates(old) > 0 && countGates(pod) === 0 ? 'removes the last scheduling gate' : undefined;
}

const countGates = (pod: Pod): number => orEmpty(specOf(pod).schedulingGates).length;

/**
 * What an update may not change where no profile can judge it: what the pod runs, whether it starts, and which nodes it may run on. Everything
 * else may change, so that a pod can always end: `activeDeadlineSeconds`, for example.
 */
export function findConsequence(pod: Pod, old: Pod): Change {
  const added = findAddedProgram(pod, old);
  if (added !== undefined) return added;
  if (countGates(pod) < countGates(old)) return 'removes a scheduling gate';
  const [now, before] = [specOf(pod), specOf(old)];
  if (!isEqualJson(now.nodeSelector ?? {}, before.nodeSelector ?? {})) return 'changes nodeSelector';
  if (!isEqualJson(now.affinity ?? {}, before.affinity ?? {})) return 'changes affinity';
  if (!isEqualJson(chosenTolerations(pod), chosenTolerations(old))) return 'changes tolerations';
  return undefined;
}

/** Tolerations without those that the API server itself adds to a pod that is updated (its plugin DefaultTolerationSeconds). */
const chosenTolerations = (pod: Pod): readonly object[] =>
  orEmpty(specOf(pod).tolerations).filter(({ key }) => !ADDED_TOLERATIONS.has(key));

const ADDED_TOLERATIONS: ReadonlySet<unknown> = new Set(['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']);

const countGatesCel = (pod: Cel): Cel => `${listAt(pod, 'spec.schedulingGates')}.size()`;

/** In CEL: whether an update adds a program or starts the pod, so that the whole pod is judged. Names of containers are unique, which the API server validates first. */
export const JUDGES_WHOLE_POD_CEL: Cel = anyOf(
  `(${countGatesCel('oldObject')} > 0 && ${countGatesCel('object')} == 0)`,
  ...CONTAINER_LISTS.map(
    (list) =>
      `${listAt('object.spec', list)}.exists(c, !${listAt('oldObject.spec', list)}.exists(o, o.name == c.name && ${textAt('o', 'image')} == ${textAt('c', 'image')}))`,
  ),
);
