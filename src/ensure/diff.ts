import type { X509Certificate } from 'node:crypto';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { stringify } from 'yaml';
import { type Reference, titleOf } from '../cluster/object.ts';
import { isObject } from '../core/shape.ts';
import { certificatesIn } from '../tls/pem.ts';

/** How an object would change, as a unified diff. Certificates are told rather than shown, and keys are not shown at all. */
export function diffOf(before: Reference | undefined, after: Reference): string {
  const title = titleOf(after);
  return createTwoFilesPatch(title, title, before === undefined ? '' : shown(before), shown(after), undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
  });
}

function shown(object: Reference): string {
  const { metadata, status: _, ...content } = object as Reference & { readonly status?: unknown };
  const { name, namespace, labels, annotations } = metadata as Reference['metadata'] & { labels?: object; annotations?: object };
  const kept = { name, ...(namespace && { namespace }), ...(labels && { labels }), ...(annotations && { annotations }) };
  return stringify({ ...content, metadata: kept }, replace, { aliasDuplicateObjects: false, lineWidth: 0, sortMapEntries: true });
}

/** By field name: nothing else in these objects holds a certificate or a key. */
function replace(key: unknown, value: unknown): unknown {
  if (key === 'caBundle') return told(String(value));
  // Which the API server fills in for a selector that nobody wrote.
  if (isObject(value) && Object.keys(value).length === 0) return undefined;
  if (key !== 'data' || !isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, text]) => [name, name.endsWith('.crt') ? told(String(text)) : hidden(String(text))]),
  );
}

function told(base64: string): readonly string[] | string {
  const text = Buffer.from(base64, 'base64').toString('latin1');
  const found = certificatesIn(text).map(describe);
  return found.length === 0 ? hidden(text) : found;
}

function describe({ subject, subjectAltName, serialNumber, validToDate }: X509Certificate): string {
  const names = subjectAltName === undefined ? '' : ` for ${subjectAltName}`;
  return `${subject.replaceAll('\n', ', ')}${names}, serial ${serialNumber}, until ${validToDate.toISOString()}`;
}

function hidden(text: string): string {
  return text === '' ? '(empty)' : '(not shown)';
}
