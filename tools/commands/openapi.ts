import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '../../test/support/client.ts';
import { moduleFolderOf } from '../programs/go.ts';
import { OTHER_KUBERNETES, pinnedKubernetes } from '../programs/kubernetes.ts';
import { readArguments } from './shared/arguments.ts';

/**
 * `node tools/commands/openapi.ts`: writes the fixtures with the fields of a Pod, one for each supported version of Kubernetes, from the OpenAPI
 * documents in its module.
 *
 * Unit tests that need every field read the fixtures; a cluster test compares one with the document that the API server publishes.
 */

const POD = 'io.k8s.api.core.v1.Pod';
export const POD_FIXTURES = join(import.meta.dirname, '../../test/fixtures/pod-openapi');

/** One version for each supported minor version. */
const VERSIONS: readonly string[] = [...OTHER_KUBERNETES.keys(), '1.34.4', '1.35.4', pinnedKubernetes()];

/** Schema name -> property -> shape. A schema without properties, such as Quantity or Time, is a single value. */
export type Schemas = Readonly<Record<string, Readonly<Record<string, FieldShape>>>>;
export type FieldShape =
  | { readonly type: string }
  | { readonly ref: string }
  | { readonly array: FieldShape }
  | { readonly map: FieldShape };

interface PublishedSchema {
  readonly type?: string;
  readonly $ref?: string;
  readonly allOf?: readonly PublishedSchema[];
  readonly items?: PublishedSchema;
  readonly additionalProperties?: PublishedSchema;
  readonly properties?: Readonly<Record<string, PublishedSchema>>;
}

interface Published {
  readonly components: { readonly schemas: Readonly<Record<string, PublishedSchema>> };
}

export async function publishedPodSchemas({ request }: Client): Promise<Schemas> {
  const { status, body } = await request<Published>('GET', '/openapi/v3/api/v1');
  if (status !== 200) throw new Error(`/openapi/v3/api/v1 answered ${status}`);
  return reachable(POD, body.components.schemas);
}

function reachable(root: string, published: Published['components']['schemas']): Schemas {
  const found = new Map<string, Readonly<Record<string, FieldShape>>>();
  const visit = (name: string): void => {
    if (found.has(name)) return;
    const properties = Object.entries(published[name]?.properties ?? {}).sort(byName);
    const shapes = properties.map(([property, schema]) => [property, shapeOf(schema)] as const);
    found.set(name, Object.fromEntries(shapes));
    for (const [, shape] of shapes) for (const ref of refsOf(shape)) visit(ref);
  };
  visit(root);
  return Object.fromEntries([...found].sort(byName));
}

function shapeOf(schema: PublishedSchema): FieldShape {
  const ref = schema.$ref ?? schema.allOf?.[0]?.$ref; // a reference with a default is in allOf
  if (ref !== undefined) return { ref: ref.slice(ref.lastIndexOf('/') + 1) };
  if (schema.items !== undefined) return { array: shapeOf(schema.items) };
  if (schema.additionalProperties !== undefined) return { map: shapeOf(schema.additionalProperties) };
  return { type: schema.type ?? 'unknown' };
}

function refsOf(shape: FieldShape): readonly string[] {
  if ('ref' in shape) return [shape.ref];
  if ('array' in shape) return refsOf(shape.array);
  return 'map' in shape ? refsOf(shape.map) : [];
}

function byName([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1;
}

/** One property a line, so that a diff between Kubernetes versions is readable. */
function render(schemas: Schemas): string {
  const blocks = Object.entries(schemas).map(([name, properties]) => {
    const lines = Object.entries(properties).map(([property, shape]) => `    ${JSON.stringify(property)}: ${JSON.stringify(shape)}`);
    return `  ${JSON.stringify(name)}: ${lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n  }`}`;
  });
  return `{\n${blocks.join(',\n')}\n}\n`;
}

if (import.meta.main) {
  readArguments('usage: node tools/commands/openapi.ts    writes the fixtures with the fields of a Pod', { most: 0 });
  for (const name of await readdir(POD_FIXTURES)) await rm(join(POD_FIXTURES, name));
  for (const version of VERSIONS) {
    const document = join(await moduleFolderOf('k8s.io/kubernetes', version), 'api/openapi-spec/v3/api__v1_openapi.json');
    const { components } = JSON.parse(await readFile(document, 'utf8')) as Published;
    await writeFile(join(POD_FIXTURES, `${version}.json`), render(reachable(POD, components.schemas)));
  }
}
