import type { Path } from './path.ts';
import { isObject } from './shape.ts';

/** An entry of `metadata.managedFields`: a client, and the fields that it sent. */
export type ManagedEntry = Readonly<Record<string, unknown>>;

export function managedEntriesOf(document: object): readonly ManagedEntry[] {
  const { metadata } = document as { readonly metadata?: { readonly managedFields?: unknown } };
  return Array.isArray(metadata?.managedFields) ? metadata.managedFields.filter(isObject) : [];
}

/** Whether the client of an entry sent the field. @param path without indices: elements of a list have other keys in an entry */
export function isManagedBy({ fieldsV1 }: ManagedEntry, path: Path): boolean {
  return path.reduce<unknown>((fields, step) => (isObject(fields) ? fields[`f:${step}`] : undefined), fieldsV1) !== undefined;
}

/** Whether a client sent the field, whatever became of it during admission. */
export function isManaged(document: object, path: Path): boolean {
  return managedEntriesOf(document).some((entry) => isManagedBy(entry, path));
}
