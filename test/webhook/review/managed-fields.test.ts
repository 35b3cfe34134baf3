import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { managedFieldsIn } from '../../../src/webhook/review/managed-fields.ts';
import { readReview, readReviewWithoutManagedFields } from '../../../src/webhook/review/review.ts';

const RECORDED = join(import.meta.dirname, '../../../bench/reviews/recorded');
const recorded = ['small', 'medium'].map((size) => readFileSync(join(RECORDED, `${size}-mutate-userns.jsonl`)));
const LIST = [{ manager: 'kubectl', operation: 'Update', fieldsV1: { 'f:spec': { 'k:{"name":"a"}': {} } } }];

type Review = { request: { object: { metadata: { managedFields?: unknown } } } };

/** The review read without managedFields, and read completely with the list deleted. */
function bothReadings(body: Uint8Array): [unknown, unknown] {
  const short = readReviewWithoutManagedFields(body);
  const whole = readReview(body);
  if (whole.ok) delete (whole.value.object as Review['request']['object'] | undefined)?.metadata?.managedFields;
  if (short.ok) delete (short.value.object as Review['request']['object'] | undefined)?.metadata?.managedFields;
  return [short, whole];
}

function reviewOf(metadata: object, spec: unknown): Buffer {
  const object = { kind: 'Pod', apiVersion: 'v1', metadata, spec, status: {} };
  return Buffer.from(JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request: { uid: 'u', object } }));
}

describe('a review as the API server sends it', () => {
  test.each(recorded)('a recorded review is read without the list, and is otherwise the same', (body) => {
    const [from, to] = managedFieldsIn(body) ?? [0, 0];
    expect(to - from).toBeGreaterThan(body.length / 4);
    const [short, whole] = bothReadings(body);
    expect(short).toEqual(whole);
  });

  test('a review without the list is read completely', () => {
    const body = reviewOf({ name: 'a' }, {});
    expect(managedFieldsIn(body)).toBeUndefined();
    expect(readReviewWithoutManagedFields(body)).toEqual(readReview(body));
  });
});

test('both ways to read give the same review, whatever the strings and keys of the pod', () => {
  const tricky = fc.oneof(
    fc.string(),
    fc.constantFrom(
      ',"managedFields":[{"manager":"',
      ']},"spec":{',
      '"managedFields":[',
      'managedFields',
      '\\',
      '"',
      ',"managedFields":[{"manager":"x"}]},"spec":{',
    ),
  );
  // No backslash in a key: after such a key, V8 misreads some keys with escapes (nodejs/node#63785). The fields, labels and annotations of a pod
  // have no such key.
  const key = tricky.map((text) => text.replaceAll('\\', ''));
  const map = fc.dictionary(key, tricky, { maxKeys: 4 });
  fc.assert(
    fc.property(map, map, map, tricky, (labels, annotations, nodeSelector, image) => {
      const spec = { nodeSelector, containers: [{ name: 'a', image, env: [{ name: 'A', value: image }] }] };
      const [short, whole] = bothReadings(reviewOf({ labels, annotations, managedFields: LIST }, spec));
      expect(short).toEqual(whole);
    }),
    { numRuns: 2_000 },
  );
});

test('a body with unexpected bytes is read completely', () => {
  const text = recorded[0]?.toString() ?? '';
  for (const [from, to] of [
    [',"managedFields":[{"manager":"', ',"managedFields":["manager":"'],
    [']},"spec":{', '],"spec":{'],
    ['"spec":{', '"spec":[{'],
  ] as const) {
    const body = Buffer.from(text.replace(from, to));
    const [short, whole] = bothReadings(body);
    expect(short).toEqual(whole);
  }
});
