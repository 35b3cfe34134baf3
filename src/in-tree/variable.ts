import type { Cel } from '../core/cel.ts';

/** A variable of a policy. It may use those before it, and is evaluated when it is used. */
export interface Variable {
  readonly name: string;
  readonly expression: Cel;
}

/**
 * An expression that needs no variables: those that it uses are bound in it, and evaluated once. Match conditions have no variables.
 * @param expression a boolean
 */
export function withoutVariables(expression: Cel, variables: readonly Variable[]): Cel {
  const bound = variables.reduceRight(
    (inner, { name, expression: value }) => (usesVariable(inner, name) ? `[${value}].exists(${name},\n${inner})` : inner),
    expression,
  );
  return bound
    .split(LITERAL)
    .map((part, index) => (index % 2 === 1 ? part : part.replaceAll(/\bvariables\.(?=[a-z])/g, '')))
    .join('');
}

/** A string, with its quotes. What it says stays as it is: it may be a value of the configuration. */
const LITERAL = /('(?:[^'\\]|\\.)*')/s;

const usesVariable = (expression: Cel, name: string): boolean => new RegExp(`\\bvariables\\.${name}\\b`).test(expression);
