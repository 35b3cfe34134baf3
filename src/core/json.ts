export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A place inside a document: ['spec', 'containers', 0, 'image']. It becomes a JSON pointer only in pointer.ts. */
export type Path = readonly (string | number)[];

export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

/** `spec.containers[0].ports[1].hostPort`, as the API server writes paths; keys that are no plain name stand in brackets and quotes. */
export function printPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[A-Za-z_][\w-]*$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}
