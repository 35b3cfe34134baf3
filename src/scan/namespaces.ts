import { NAMESPACE_LABELS } from '../core/labels.ts';
import { anything, list, map, object, string } from '../core/shape.ts';
import type { NamespaceFacts } from './types.ts';

const shape = object({
  metadata: object({ name: string, labels: map(string), managedFields: list(object({ time: string, fieldsV1: anything })) }),
});
const fields = object({ 'f:metadata': object({ 'f:labels': map(anything) }) });

/** @returns undefined: the object is no namespace */
export function namespaceFactsOf(document: unknown): NamespaceFacts | undefined {
  if (shape(document) !== undefined) return undefined;
  const { metadata } = document as NonNullable<typeof shape.proves>;
  if (metadata?.name == null) return undefined;
  const labelTimes = new Map<string, Date>();
  for (const { time, fieldsV1 } of metadata.managedFields ?? []) {
    const date = new Date(time ?? Number.NaN);
    if (Number.isNaN(date.getTime()) || fields(fieldsV1) !== undefined) continue;
    const owned = (fieldsV1 as typeof fields.proves)?.['f:metadata']?.['f:labels'] ?? {};
    for (const key of Object.values(NAMESPACE_LABELS)) if (Object.hasOwn(owned, `f:${key}`)) labelTimes.set(key, date);
  }
  return { name: metadata.name, labels: new Map(Object.entries(metadata.labels ?? {})), labelTimes };
}
