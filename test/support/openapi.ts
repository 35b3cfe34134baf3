import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FieldShape, POD_FIXTURES, type Schemas } from '../../tools/commands/openapi.ts';
import { pinnedKubernetes } from '../../tools/programs/kubernetes.ts';

const POD_SPEC = 'io.k8s.api.core.v1.PodSpec';

/** The versions of Kubernetes of the fixtures, as `1.36.3`. */
export const POD_VERSIONS: readonly string[] = readdirSync(POD_FIXTURES).map((name) => name.replace(/\.json$/, ''));

/** @param version one of POD_VERSIONS; absent: the pinned one */
export function podSchemas(version = pinnedKubernetes()): Schemas {
  return JSON.parse(readFileSync(join(POD_FIXTURES, `${version}.json`), 'utf8'));
}

/**
 * Every path of a pod's spec, inner ones too, in the order of the schema:
 * `spec.hostNetwork`, `spec.volumes[*].hostPath.path`, `spec.nodeSelector.*`.
 */
export function podPaths(schemas: Schemas = podSchemas()): readonly string[] {
  return pathsBelow('spec', { ref: POD_SPEC }, { schemas, within: [] });
}

interface Walk {
  readonly schemas: Schemas;
  /** The schemas that this path leads through: one that holds itself is not entered again. */
  readonly within: readonly string[];
}

function pathsBelow(path: string, shape: FieldShape, walk: Walk): readonly string[] {
  if ('array' in shape) return pathsAt(`${path}[*]`, shape.array, walk);
  if ('map' in shape) return pathsAt(`${path}.*`, shape.map, walk);
  if ('type' in shape || walk.within.includes(shape.ref)) return [];
  const properties = Object.entries(walk.schemas[shape.ref] ?? {});
  const inner = { ...walk, within: [...walk.within, shape.ref] };
  return properties.flatMap(([property, each]) => pathsAt(`${path}.${property}`, each, inner));
}

function pathsAt(path: string, shape: FieldShape, walk: Walk): readonly string[] {
  return [path, ...pathsBelow(path, shape, walk)];
}
