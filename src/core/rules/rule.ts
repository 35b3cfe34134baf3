import type { InTree, InTreeFixes } from '../in-tree.ts';
import type { Json } from '../json.ts';
import type { Path } from '../path.ts';
import type { Container, Pod } from '../pod.ts';
import type { ProfileRequirements } from '../requirements.ts';

/** One requirement that pods must meet. A rule only reads, and knows no mode. */
export interface Rule {
  /** A noun for what the rule requires or forbids; also the name of the rule's file and page. */
  readonly id: string;
  /** What is true of a pod that meets the rule, in one sentence. */
  readonly summary: string;
  /** The fields it judges, as printed paths with `[*]` for any element; `spec.containers[*]` stands for all three container lists. */
  readonly fields: readonly string[];
  /** Whether an operator's exemption may let values through, and what such a value is. */
  readonly exemptibleValues?: string;
  /** Called once for a pod. Paths are the pod's: ['spec', 'hostUsers']. */
  checkPod?(pod: Pod, report: Reporter, context: RuleContext): void;
  /** Called for each container of every list. Paths are the container's: ['securityContext', 'privileged']. */
  checkContainer?(container: Container, report: Reporter, context: RuleContext, pod: Pod): void;
  /** The escapes of the rule in CEL, written by hand, so that the API server finds them while no webhook answers. Tests compare both on the same pods. */
  readonly inTree: InTree | 'no escape';
  /** Its fixes in CEL. Absent: it has no fix, or none that pods in a user namespace need. */
  readonly inTreeFixes?: InTreeFixes;
}

/** The change that resolves a finding. `append` adds to the list at the path, `remove` may name an element of one. */
export type Fix = { readonly set: Json } | { readonly remove: true } | { readonly append: readonly Json[] };

/**
 * `escape`: the pod must not run like this. `promise`: the pod will not work as its author expects, mostly because a grant has no effect; it is
 * fixed or warned about, and never a reason to deny.
 * `unknown`: no rule judges the field; it is warned about and counted, and never a reason to deny.
 */
export type FindingKind = 'escape' | 'promise' | 'unknown';

export interface RuleFinding {
  readonly path: Path;
  /** What was found. */
  readonly message: string;
  /** What to do. Absent: the fix is printed instead. */
  readonly remedy?: string | undefined;
  /** Absent: a person must decide. */
  readonly fix?: Fix | undefined;
  /** Changes elsewhere in the pod that belong to the fix. */
  readonly also?: readonly { readonly path: Path; readonly fix: Fix }[] | undefined;
  /** The value that an exemption must list to let this through. Absent: no exemption lets it through, or an option of the profile does. */
  readonly exemption?: string | undefined;
  /** Absent: `escape`. */
  readonly kind?: FindingKind;
}

export type Reporter = (found: RuleFinding) => void;

export interface Finding extends RuleFinding {
  readonly rule: string;
  readonly kind: FindingKind;
  /** Whether the pod has a value at the path, so that a fix changes or removes it. */
  readonly isWritten?: true | undefined;
  readonly container?: string | undefined;
}

/** Everything that a rule may use beside the pod. */
export interface RuleContext {
  readonly requirements: ProfileRequirements;
  /** The containers of every list, in the pod's order. */
  readonly containers: readonly Container[];
  /** The namespace of the pod. */
  readonly namespace: string;
  /** Whether the pod exists already, so that only what is added to it can be fixed. */
  readonly isUpdate: boolean;
  /** The storage of claims of the namespace, by their names: a kind of volume, a CSI driver or a provisioner. undefined: none is known. */
  readonly claims: ReadonlyMap<string, string> | undefined;
  /** Invalid choices in the labels of the pod's author. */
  readonly labelProblems: readonly RuleFinding[];
  /**
   * Whether an exemption in force lets this value through the rule that asks.
   * @param container the name of the container that has the value; `null`: the pod has it; absent: the container that is checked, or else the pod
   */
  exempts(value: string, container?: string | null): boolean;
}

export const REMOVE: Fix = { remove: true };
