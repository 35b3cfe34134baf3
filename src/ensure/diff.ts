import type { X509Certificate } from 'node:crypto';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { stringify } from 'yaml';
import type { ObjectChange } from '../cluster/client.ts';
import { type Reference, titleOf } from '../cluster/object.ts';
import { isObject } from '../core/shape.ts';
import { certificatesIn } from '../tls/pem.ts';

/** The change of an object as a unified diff. Certificates are described instead of printed, and keys are not printed. */
export function diffOf({ before, after }: ObjectChange): string {
  const title = titleOf((after ?? before) as Reference); // one of them exists
  const [old, now] = [before, after].map((each) => (each === undefined ? '' : print(each)));
  return createTwoFilesPatch(title, title, old ?? '', now ?? '', undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
  });
}

function print(object: Reference): string {
  const { metadata, status: _, ...content } = object as Reference & { readonly status?: unknown };
  const { name, namespace, labels, annotations, ownerReferences } = metadata as Reference['metadata'] & {
    labels?: object;
    annotations?: object;
    ownerReferences?: readonly object[];
  };
  const kept = {
    name,
    ...(namespace && { namespace }),
    ...(labels && { labels }),
    ...(annotations && { annotations }),
    ...(ownerReferences && { ownerReferences }),
  };
  return stringify({ ...content, metadata: kept }, redact, { aliasDuplicateObjects: false, lineWidth: 0, sortMapEntries: true });
}

/** By the name of the field: no other field of these objects has a certificate or a key. */
function redact(key: unknown, value: unknown): unknown {
  if (key === 'caBundle') return describeBundle(String(value));
  // The API server writes `{}` for an absent selector.
  if (isObject(value) && Object.keys(value).length === 0) return undefined;
  if (key !== 'data' || !isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, text]) => [name, name.endsWith('.crt') ? describeBundle(String(text)) : hide(String(text))]),
  );
}

function describeBundle(base64: string): readonly string[] | string {
  const text = Buffer.from(base64, 'base64').toString('latin1');
  const found = certificatesIn(text).map(describeCertificate);
  return found.length === 0 ? hide(text) : found;
}

function describeCertificate({ subject, subjectAltName, serialNumber, validToDate }: X509Certificate): string {
  const names = subjectAltName === undefined ? '' : ` for ${subjectAltName}`;
  return `${subject.replaceAll('\n', ', ')}${names}, serial ${serialNumber}, until ${validToDate.toISOString()}`;
}

function hide(text: string): string {
  return text === '' ? '(empty)' : '(not shown)';
}
