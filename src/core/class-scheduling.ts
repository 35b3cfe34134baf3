import { type Cel, textAt } from './cel.ts';
import type { Toleration } from './pod.ts';

/** The field `scheduling` of a RuntimeClass, as its object has it. */
export interface WrittenScheduling {
  readonly nodeSelector?: Readonly<Record<string, string>> | undefined;
  readonly tolerations?: readonly WrittenToleration[] | undefined;
}

type WrittenToleration = { readonly [Field in keyof Toleration]: Toleration[Field] | undefined };

/**
 * What the API server adds to the pods of a RuntimeClass. It adds this between two calls of a mutating webhook, and nothing in the pod shows who
 * added it. The operator therefore repeats it in the configuration.
 * Source: https://kubernetes.io/docs/concepts/containers/runtime-class/#scheduling
 */
export interface ClassScheduling {
  readonly nodeSelector: ReadonlyMap<string, string>;
  /** Printed by `printToleration`. */
  readonly tolerations: ReadonlySet<string>;
}

/** The advice about a toleration or a label that a pod may have only if its RuntimeClass adds it. */
export const BROUGHT_REMEDY = 'if the RuntimeClass of the pod adds it, ask the operator to list it in runtimeClassScheduling';

export const NO_SCHEDULING: ClassScheduling = { nodeSelector: new Map(), tolerations: new Set() };

export function makeClassScheduling({ nodeSelector, tolerations }: WrittenScheduling): ClassScheduling {
  return { nodeSelector: new Map(Object.entries(nodeSelector ?? {})), tolerations: new Set(tolerations?.map(printToleration)) };
}

/** Prints a toleration. Tolerations that are equal for the API server have equal texts. */
export function printToleration({ key, operator, value, effect, tolerationSeconds }: WrittenToleration): string {
  return JSON.stringify([key || '', operator || 'Equal', value || '', effect || '', tolerationSeconds ?? null]);
}

/** The same text in CEL. Its parts need no escape, because the API server validates them first. */
export function printTolerationCel(toleration: Cel): Cel {
  const [key, operator, value, effect] = ['key', 'operator', 'value', 'effect'].map((field) => textAt(toleration, field));
  const texts = [key, `(${operator} == '' ? 'Equal' : ${operator})`, value, effect].map((each) => `'"' + ${each} + '",'`);
  return `('[' + ${texts.join(' + ')} + ${toleration}.?tolerationSeconds.optMap(seconds, string(seconds)).orValue('null') + ']')`;
}
