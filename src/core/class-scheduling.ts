import type { Toleration } from './pod.ts';

/** The field `scheduling` of a RuntimeClass, as its object has it. */
export interface WrittenScheduling {
  readonly nodeSelector?: Readonly<Record<string, string>> | undefined;
  readonly tolerations?: readonly WrittenToleration[] | undefined;
}

type WrittenToleration = { readonly [Field in keyof Toleration]: Toleration[Field] | undefined };

/**
 * What the API server adds to the pods of a RuntimeClass. It does so between two calls of a mutating webhook, and leaves no mark in the pod, so
 * that the operator states it.
 * Source: https://kubernetes.io/docs/concepts/containers/runtime-class/#scheduling
 */
export interface ClassScheduling {
  readonly nodeSelector: ReadonlyMap<string, string>;
  /** Printed by `printToleration`. */
  readonly tolerations: ReadonlySet<string>;
}

/** For what a pod of such a class has and may not have otherwise. */
export const BROUGHT_REMEDY = 'if its RuntimeClass brings it, ask the operator to repeat it in runtimeClassScheduling';

export const NO_SCHEDULING: ClassScheduling = { nodeSelector: new Map(), tolerations: new Set() };

export function makeClassScheduling({ nodeSelector, tolerations }: WrittenScheduling): ClassScheduling {
  return { nodeSelector: new Map(Object.entries(nodeSelector ?? {})), tolerations: new Set(tolerations?.map(printToleration)) };
}

/** Equal texts for tolerations that the API server takes for equal. */
export function printToleration({ key, operator, value, effect, tolerationSeconds }: WrittenToleration): string {
  return JSON.stringify([key || '', operator || 'Equal', value || '', effect || '', tolerationSeconds ?? null]);
}
