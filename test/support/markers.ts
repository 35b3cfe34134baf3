import type { FieldShape } from '../../tools/commands/openapi.ts';
import type { Doc } from './hostile-pods.ts';
import { podSchemas } from './openapi.ts';

/**
 * Markers are texts that can be found again wherever they turn up, and that say where they were planted. They are names that the API server
 * would take almost anywhere.
 */
export const mark = (place: string): string => `marker-${place.replaceAll(/[^A-Za-z0-9]+/g, '-').toLowerCase()}`;

/** The places of all markers in a text, each once, in their order. */
export function markersIn(text: string): string[] {
  return [...new Set([...text.matchAll(/marker-([a-z0-9-]*[a-z0-9])/gi)].map(([, place = '']) => place.toLowerCase()))].toSorted();
}

const schemas = podSchemas();

/** A PodSpec with a marker in every text that the API server publishes, the keys of maps included. */
export function markedSpec(prefix: string): Doc {
  return filled({ ref: 'io.k8s.api.core.v1.PodSpec' }, prefix, []) as Doc;
}

/** Metadata with a marker in every text. */
export function markedMetadata(prefix: string): Doc {
  return filled({ ref: 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' }, prefix, []) as Doc;
}

/** @param within the schemas that lead here: one that holds itself is not entered again */
function filled(shape: FieldShape, place: string, within: readonly string[]): unknown {
  if ('array' in shape) return [filled(shape.array, place, within)];
  if ('map' in shape) return { [mark(`${place} key`)]: filled(shape.map, place, within) };
  if ('type' in shape) return shape.type === 'integer' ? 1 : shape.type === 'boolean' ? true : mark(place);
  const properties = Object.entries(schemas[shape.ref] ?? {});
  if (properties.length === 0) return mark(place);
  if (within.includes(shape.ref)) return {};
  return Object.fromEntries(properties.map(([name, each]) => [name, filled(each, `${place} ${name}`, [...within, shape.ref])]));
}
