import type { Json } from '../json.ts';
import type { Path } from '../path.ts';
import type { Container, Pod } from '../pod.ts';
import type { Terms } from '../terms.ts';

/** One thing a pod must satisfy. A rule reads; it changes nothing and knows no mode. */
export interface Rule {
  /** A noun that states the ideal or the danger; also the name of its file and its page. */
  readonly id: string;
  /** What holds when the rule is kept, in one sentence. */
  readonly summary: string;
  /** The fields it judges, as printed paths with `[*]` for any element; `spec.containers[*]` stands for all three container lists. */
  readonly fields: readonly string[];
  /** Whether an operator's exemption may let values through, and what such a value is. */
  readonly exempts?: string;
  /** Called once for a pod. Paths are the pod's: ['spec', 'hostUsers']. */
  checkPod?(pod: Pod, report: Reporter, context: Context): void;
  /** Called for each container of every list. Paths are the container's: ['securityContext', 'privileged']. */
  checkContainer?(container: Container, report: Reporter, context: Context, pod: Pod): void;
}

/** What ends a finding. `append` adds to the list at the path, `remove` may name an element of one. */
export type Fix = { readonly set: Json } | { readonly remove: true } | { readonly append: readonly Json[] };

/** `escape`: the pod may not run so. `promise`: a grant is not in effect; worth a fix or a warning, never a denial. */
export type Kind = 'escape' | 'promise';

export interface RuleFinding {
  readonly path: Path;
  /** What was found. */
  readonly message: string;
  /** What to do; where a fix says it already, it need not be said. */
  readonly remedy?: string;
  /** Absent: a person must decide. */
  readonly fix?: Fix;
  /** Absent: `escape`. */
  readonly kind?: Kind;
}

export type Reporter = (found: RuleFinding) => void;

export interface Finding extends RuleFinding {
  readonly rule: string;
  readonly kind: Kind;
  readonly container?: string;
}

/** Everything but the pod that a rule may ask. */
export interface Context {
  readonly terms: Terms;
  /** The containers of every list, in the pod's order. */
  readonly containers: readonly Container[];
  /** Whether the pod exists already, so that nothing but what is added to it can be repaired. */
  readonly isUpdate: boolean;
  /** What is wrong with the labels by which the pod's author chose. */
  readonly labelProblems: readonly RuleFinding[];
  /** Whether an exemption in force lets this value through the rule that asks. */
  exempts(value: string): boolean;
}

export const REMOVE: Fix = { remove: true };
