import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from './client.ts';

/** As the API server publishes it at /openapi/v2. */
interface Definition {
  readonly type?: string;
  readonly format?: string;
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Definition>>;
  readonly items?: Definition;
  readonly additionalProperties?: Definition;
  readonly 'x-kubernetes-group-version-kind'?: readonly { readonly group: string; readonly version: string; readonly kind: string }[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly [field: string]: unknown;
}

/**
 * Writes the API server's own schemas as kubeconform reads them, one file for each kind. They are strict, since an unknown field is a mistake.
 * @param kinds which must be among them
 * @returns what to give kubeconform as `-schema-location`, or undefined where one of the kinds is not published yet
 */
export async function writeSchemas({ request }: Client, folder: string, kinds: readonly string[]): Promise<string | undefined> {
  const { body } = await request<{ readonly definitions: Readonly<Record<string, Definition>> }>('GET', '/openapi/v2');
  const published = Object.keys(body.definitions).map((name) => name.slice(name.lastIndexOf('.') + 1));
  if (!kinds.every((kind) => published.includes(kind))) return undefined;
  const strict = new Map(Object.entries(body.definitions).map(([name, definition]) => [name, strictly(definition, name)]));
  for (const [name, { 'x-kubernetes-group-version-kind': names = [] }] of Object.entries(body.definitions)) {
    const [kind, ...others] = names;
    if (kind === undefined || others.length > 0) continue; // what many kinds share is no object
    const file = [kind.kind, kind.group.split('.')[0], kind.version].filter((part) => part !== '').join('-');
    const definitions = Object.fromEntries(reachable(name, strict));
    await writeFile(join(folder, `${file.toLowerCase()}.json`), JSON.stringify({ $ref: `#/definitions/${name}`, definitions }));
  }
  return join(folder, '{{ .ResourceKind }}{{ .KindSuffix }}.json');
}

function strictly(definition: Definition, name: string): Definition {
  const { properties, items, additionalProperties, ...rest } = definition;
  if (name.endsWith('.Quantity') || definition.format === 'int-or-string' || definition['x-kubernetes-int-or-string'] === true) {
    return { type: ['string', 'number'] } as unknown as Definition;
  }
  const isOpen = properties === undefined || definition['x-kubernetes-preserve-unknown-fields'] === true;
  return {
    ...rest,
    ...(properties && { properties: Object.fromEntries(Object.entries(properties).map(([key, each]) => [key, strictly(each, key)])) }),
    ...(items && { items: strictly(items, '') }),
    ...(additionalProperties && { additionalProperties: strictly(additionalProperties, '') }),
    ...(!isOpen && additionalProperties === undefined && { additionalProperties: false as unknown as Definition }),
  };
}

/** A definition with all that it refers to. */
function reachable(name: string, definitions: ReadonlyMap<string, Definition>): ReadonlyMap<string, Definition> {
  const found = new Map<string, Definition>();
  const wanted = new Set([name]);
  for (const each of wanted) {
    const definition = definitions.get(each);
    if (definition === undefined) throw new Error(`there is no definition of ${each}`);
    found.set(each, definition);
    for (const [, next = ''] of JSON.stringify(definition).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)) wanted.add(next);
  }
  return found;
}
