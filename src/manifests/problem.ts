/** What is wrong with a file of the input. */
export interface InputProblem {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

/** `file:line:column: what is wrong; what to do`, the format of compilers. */
export function printInputProblem({ file, line, column, message, remedy }: InputProblem): string {
  return `${[file, line, column].filter((part) => part !== undefined).join(':')}: ${message}; ${remedy}`;
}
