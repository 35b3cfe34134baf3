import { allOf, type Cel, listOf, quote, textAt } from './cel.ts';
import { excerptOf } from './excerpt.ts';
import { annotationOf, type Pod, specOf } from './pod.ts';
import type { Wall } from './requirements.ts';
import { REMOVE, type RuleFinding } from './rules/rule.ts';

/** A field or an annotation that differs from what the profile's wall requires. */
export interface WallGap {
  readonly finding: RuleFinding;
  /** Whether the pod is isolated in spite of the difference. */
  readonly isStillIsolated: boolean;
}

/**
 * Whether the pod is isolated as its profile requires. Grants and exemptions apply to isolated pods only.
 * The rules `user-namespace` and `runtime-class` report the same gaps, so that a condition of a wall is written once.
 */
export function isIsolated(pod: Pod, wall: Wall): boolean {
  return findWallGaps(pod, wall).every(({ isStillIsolated }) => isStillIsolated);
}

/** Everything in which a pod differs from the wall, in the order in which the rules report it. */
export function findWallGaps(pod: Pod, wall: Wall): WallGap[] {
  return [...findUserNamespaceGaps(pod, wall), ...findRuntimeClassGaps(pod, wall)];
}

/** `hostUsers`, and the annotations that replace it on older nodes. */
export function findUserNamespaceGaps(pod: Pod, wall: Wall): WallGap[] {
  const gaps: WallGap[] = [];
  const { hostUsers } = specOf(pod);
  const path = ['spec', 'hostUsers'];
  if (wall.hostUsers === false && hostUsers !== false) {
    const message = hostUsers == null ? 'hostUsers is not set, so the pod shares its users with the node' : 'hostUsers is true';
    gaps.push({ finding: { path, message, fix: { set: false } }, isStillIsolated: false });
  }
  if (wall.hostUsers === undefined && hostUsers != null) {
    const message = `hostUsers is ${hostUsers}, but this profile's runtime does not accept this field`;
    // `true` means what an absent field means, so the pod runs behind the runtime's own kernel as if the field were not there. `false` asks
    // for a user namespace, which such a runtime does not support: what it does with the pod is not known.
    gaps.push({ finding: { path, message, fix: REMOVE }, isStillIsolated: hostUsers });
  }
  for (const [key, value] of wall.annotations) {
    if (annotationOf(pod, key) === value) continue;
    const message = `annotation ${key} is not "${value}"`;
    gaps.push({ finding: { path: ['metadata', 'annotations', key], message, fix: { set: value } }, isStillIsolated: false });
  }
  return gaps;
}

export function findRuntimeClassGaps(pod: Pod, wall: Wall): WallGap[] {
  const { runtimeClassName } = specOf(pod);
  if (runtimeClassName == null ? wall.runtimeClassName === undefined : isClassOf(wall, runtimeClassName)) return [];
  const message = runtimeClassName
    ? `runtimeClassName "${excerptOf(runtimeClassName)}" does not belong to this profile (the nodeSelector and tolerations that this class added stay)`
    : `runtimeClassName is ${runtimeClassName === '' ? 'empty, which is no class' : 'not set'}`;
  const { runtimeClassName: wanted } = wall;
  const fix = wanted === undefined ? REMOVE : { set: wanted };
  const change = wanted === undefined ? 'remove it' : `set it to ${wanted}`;
  const wayOut = runtimeClassName ? { remedy: `${change}, or ask the operator to list it in the runtimeClasses of the profile` } : {};
  return [{ finding: { path: ['spec', 'runtimeClassName'], message, fix, ...wayOut }, isStillIsolated: false }];
}

/** Whether the runtime class is one of the profile's. */
export function isClassOf(wall: Wall, runtimeClassName: string): boolean {
  return runtimeClassName === wall.runtimeClassName || wall.runtimeClasses.has(runtimeClassName);
}

/** Whether the pod has a class of the profile, or is given one. */
export function getsClassScheduling(pod: Pod, wall: Wall): boolean {
  return wall.runtimeClassName !== undefined || isClassOf(wall, specOf(pod).runtimeClassName ?? '');
}

/** The names of the profile's runtime classes. */
export const classesOf = ({ runtimeClassName, runtimeClasses }: Wall): readonly string[] => [
  ...(runtimeClassName === undefined ? [] : [runtimeClassName]),
  ...runtimeClasses,
];

/** `isIsolated` in CEL. */
export function isIsolatedCel(spec: Cel, annotations: Cel, wall: Wall): Cel {
  const classes = wall.runtimeClassName === undefined ? ['', ...classesOf(wall)] : classesOf(wall);
  return allOf(
    wall.hostUsers === false ? `!${spec}.?hostUsers.orValue(true)` : `${spec}.?hostUsers.orValue(true)`,
    ...wall.annotations.map(([key, value]) => `${annotations}[?${quote(key)}].orValue('') == ${quote(value)}`),
    `${textAt(spec, 'runtimeClassName')} in ${listOf(classes)}`,
  );
}

/** `getsClassScheduling` in CEL. */
export const getsClassSchedulingCel = (spec: Cel, wall: Wall): Cel =>
  wall.runtimeClassName !== undefined ? 'true' : `${textAt(spec, 'runtimeClassName')} in ${listOf(wall.runtimeClasses)}`;
