const KEY = Buffer.from(',"managedFields":[{"manager":"');
const END = Buffer.from(']},"spec":{');

/**
 * Finds the bytes of `metadata.managedFields` in a review of a new pod. Half of such a review is this list, which no rule reads and which
 * costs half of the parse.
 *
 * The key with its bare quotes cannot stand inside a JSON string, where each quote is escaped; in a typed pod the API server has it in one
 * place alone, wrote it there itself, and `spec` is what follows. For the mutating path only: whatever a forged body makes of this, the
 * validating call reads every byte.
 * @returns from and to which byte they can be left out; undefined: read the whole
 */
export function managedFieldsIn(body: Uint8Array): readonly [from: number, to: number] | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const from = bytes.indexOf(KEY);
  if (from === -1) return undefined;
  const end = bytes.indexOf(END, from);
  return end === -1 ? undefined : [from, end + 1];
}
