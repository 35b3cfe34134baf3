/** A place inside a document: ['spec', 'containers', 0, 'image']. pointer.ts prints it as a JSON pointer. */
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
