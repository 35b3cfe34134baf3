import { allOf, type Cel, not, quote } from './cel.ts';
import type { ProfileRequirements } from './requirements.ts';

/** The escapes of one rule, for the API server to find by itself. Findings of other kinds never deny, so CEL does not find them. */
export interface InTree {
  /** Called for each set of requirements of a profile, and for the pod before and after an update. */
  pod?(pod: PodCel, requirements: ProfileRequirements): readonly CelFinding[];
  /** The same for each container of every list. Its variable is `c`. */
  container?(pod: PodCel, requirements: ProfileRequirements): readonly CelFinding[];
}

/** One kind of escape, in CEL. */
export interface CelFinding {
  /** The list, or the map for its keys, whose elements are judged, and the variable of an element. Absent: the pod or the container itself. */
  readonly each?: readonly [elements: Cel, variable: string];
  /** A boolean: where it is found. */
  readonly where: Cel;
  /**
   * A string: what is found. On an update a finding is the same as before if its text is the same, so the text names elements by their content and
   * not by their place.
   */
  readonly says: Cel;
  /** A string: what to do. In a container it is written once for all elements. Absent: the text says it. */
  readonly remedy?: Cel;
}

/** The fixes of one rule, for the API server to make by itself on a new pod. They give the same pod as the fixes of the rule's findings. */
export interface InTreeFixes {
  /** Called for each grant of a profile. Paths start at the pod: `spec.hostUsers`. */
  pod?(pod: PodCel, requirements: ProfileRequirements): readonly CelFix[];
  /** The same for each container of a new pod, whose variable is `c`. Paths start at the container: `securityContext.privileged`. */
  container?(pod: PodCel, requirements: ProfileRequirements): readonly CelFix[];
  /** Values that its changes use, as `variables.NAME`; a later one may use an earlier one. */
  variables?(pod: PodCel, requirements: ProfileRequirements): Readonly<Record<string, Cel>>;
}

/**
 * One change, in CEL. A value may hold texts, numbers, booleans and what CEL makes of them, but no object of the pod: API servers of 1.37 cannot write
 * one as JSON.
 */
export type CelFix = {
  readonly path: string;
  /** A boolean: whether the change is due. */
  readonly where: Cel;
} & (
  | { readonly remove: true }
  /** The new value, from the one that is there. */
  | { readonly edit: (found: Cel) => Cel }
  /** The new value, from the one that is there, or from an empty list or map. What the path leads through is created if it is missing. */
  | { readonly set: (found: Cel) => Cel }
  /** Of a list: the elements are removed for which this is true. */
  | { readonly removeElements: (element: Cel) => Cel }
  /** Of a list: keys of its elements are removed where the condition of the key is true. */
  | { readonly removeKeys: (element: Cel) => Readonly<Record<string, Cel>> }
  /** These elements, a list, are added to the list, which is created if it is missing. */
  | { readonly append: Cel }
);

/** What a rule may ask about a pod, in CEL. */
export interface PodCel {
  readonly spec: Cel;
  /** An empty map where the pod has none. */
  readonly securityContext: Cel;
  /** A map. */
  readonly annotations: Cel;
  /** The keys of the annotations. Of the pod before an update, those whose value stays: with another value, an annotation counts as added. */
  readonly annotationKeys: Cel;
  /** The containers of every list. */
  readonly containers: Cel;
  /** The names of the containers that receive the grant. */
  readonly namesWithGrant: Cel;
  /** Of the container `c`. */
  readonly hasGrant: Cel;
  /** Of the container `c`: whether it joins a running pod. */
  readonly isEphemeral: Cel;
  readonly isUpdate: Cel;
  /** Whether the annotation `profile-applied` says that the webhook has repaired the pod. Its author can write it too: it decides about words alone. */
  readonly isRepaired: Cel;
  /** A list of texts: invalid choices in the labels of the pod's author. */
  readonly labelProblems: Cel;
  /**
   * Whether an exemption in force lets this value through the rule that asks; `false` where the configuration has none for the rule.
   * @param container as in `RuleContext`: a name, in CEL; `null`: the pod; absent: the container `c`, or else the pod
   */
  exempts(value: Cel, container?: Cel | null): Cel;
}

/**
 * A finding that says something else where the field was set by the webhook, and is missing now.
 * @param isMissing a boolean, which holds only where the finding does
 */
export function withCauseCel(
  isMissing: Cel,
  isRepaired: Cel,
  { message, remedy }: { readonly message: string; readonly remedy: string },
  otherwise: CelFinding,
): readonly CelFinding[] {
  const isDropped = allOf(isMissing, isRepaired);
  return [
    { where: isDropped, says: quote(message), remedy: quote(remedy) },
    { ...otherwise, where: allOf(otherwise.where, not(isDropped)) },
  ];
}
