import type { Cel } from '../core/cel.ts';

/** A variable of a policy. It may use those before it, and is evaluated when it is used. */
export interface Variable {
  readonly name: string;
  readonly expression: Cel;
}
