import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startApiServer } from '../../test/support/api-server.ts';
import type { Client } from '../../test/support/client.ts';
import { readArguments } from './shared/arguments.ts';

/**
 * `node tools/commands/openapi.ts`: writes the fixture with the fields of a Pod, as the API server publishes them.
 *
 * Unit tests that need every field read the fixture; a cluster test compares it with the API server's document.
 */

export const POD = 'io.k8s.api.core.v1.Pod';
export const podFixture = join(import.meta.dirname, '../../test/fixtures/pod-openapi.json');

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
  readArguments('usage: node tools/commands/openapi.ts    writes the fixture with the fields of a Pod', { most: 0 });
  const apiServer = await startApiServer();
  try {
    await writeFile(podFixture, render(await publishedPodSchemas(apiServer.admin)));
  } finally {
    await apiServer.stop();
  }
}
