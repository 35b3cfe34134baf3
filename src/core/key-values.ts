/**
 * Whether a set of entries `key` and `key=value`, as kubectl prints labels and taints, contains the key with one of the values.
 * @param values undefined: every value is meant
 */
export function containsKeyValue(entries: ReadonlySet<string>, key: string, values: readonly string[] | undefined): boolean {
  if (entries.has(key)) return true;
  if (values !== undefined) return values.some((value) => entries.has(`${key}=${value}`));
  const start = `${key}=`;
  for (const entry of entries) if (entry.startsWith(start)) return true;
  return false;
}
