/** A place inside a document: ['spec', 'containers', 0, 'image']. `pointer.ts` prints it as a JSON pointer. */
export type Path = readonly (string | number)[];

/** `spec.containers[0].ports[1].hostPort`, as the API server writes paths; keys that are not plain names are quoted in brackets. */
export function printPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[A-Za-z_][\w-]*$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** The value at the first `depth` steps of the path. */
export function valueAt(document: unknown, path: Path, depth = path.length): unknown {
  let value = document;
  for (let at = 0; at < depth && value !== undefined; at += 1) value = childAt(value, path[at] as string | number);
  return value;
}

/** The value one step below another. */
export function childAt(value: unknown, step: string | number): unknown {
  return value == null || !Object.hasOwn(value, step) ? undefined : (value as Record<string | number, unknown>)[step];
}
