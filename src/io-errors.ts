/** What went wrong with a file or a connection, in words for people. */

export interface FileProblem {
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

const FILE_PROBLEMS: ReadonlyMap<string | undefined, FileProblem> = new Map([
  ['ENOENT', { message: 'there is no such file or folder', remedy: 'check the name' }],
  ['EACCES', { message: 'this user has no permission', remedy: 'change the permissions' }],
  ['EISDIR', { message: 'it is a folder', remedy: 'name a file in it' }],
  ['ELOOP', { message: 'its symbolic links form a circle', remedy: 'fix the link, or leave it out' }],
]);

/** Why a file cannot be read. */
export function fileProblemOf({ code, message }: NodeJS.ErrnoException): FileProblem {
  return FILE_PROBLEMS.get(code) ?? { message, remedy: 'name a file that can be read' };
}

/** `config.yaml cannot be read: there is no such file or folder; check the name` */
export function printReadError(file: string, error: NodeJS.ErrnoException): string {
  const { message, remedy } = fileProblemOf(error);
  return `${file} cannot be read: ${message}; ${remedy}`;
}

/**
 * Why a connection failed. The message of a failed `fetch` is `fetch failed`; its cause has the reason.
 * @param timeoutMs that the caller set
 */
export function printConnectionError(error: unknown, timeoutMs: number): string {
  const { name, code, message, cause } = error as NodeJS.ErrnoException & { readonly cause?: NodeJS.ErrnoException };
  if (name === 'TimeoutError') return `no answer within ${timeoutMs / 1_000} s`;
  return code ?? cause?.code ?? cause?.message ?? message;
}
