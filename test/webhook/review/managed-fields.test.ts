import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { managedFieldsIn } from '../../../src/webhook/review/managed-fields.ts';
import { readReview, readReviewWithoutManagedFields } from '../../../src/webhook/review/review.ts';

const RECORDED = join(import.meta.dirname, '../../../bench/reviews');
const recorded = ['small', 'medium'].map((size) => readFileSync(join(RECORDED, `${size}-mutate-userns.jsonl`)));
const LIST = [{ manager: 'kubectl', operation: 'Update', fieldsV1: { 'f:spec': { 'k:{"name":"a"}': {} } } }];

type Review = { request: { object: { metadata: { managedFields?: unknown } } } };

/** What the lean reading gives, and the whole one without the list. */
function bothReadings(body: Uint8Array): [unknown, unknown] {
  const lean = readReviewWithoutManagedFields(body);
  const whole = readReview(body);
  if (whole.ok) delete (whole.value.object as Review['request']['object'] | undefined)?.metadata?.managedFields;
  if (lean.ok) delete (lean.value.object as Review['request']['object'] | undefined)?.metadata?.managedFields;
  return [lean, whole];
}

function reviewOf(metadata: object, spec: unknown): Buffer {
  const object = { kind: 'Pod', apiVersion: 'v1', metadata, spec, status: {} };
  return Buffer.from(JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request: { uid: 'u', object } }));
}

describe('a review as the API server sends it', () => {
  test.each(recorded)('is read without the list, and is else the same', (body) => {
    const [from, to] = managedFieldsIn(body) ?? [0, 0];
    expect(to - from).toBeGreaterThan(body.length / 4);
    const [lean, whole] = bothReadings(body);
    expect(lean).toEqual(whole);
  });

  test('is read as a whole where the list is missing', () => {
    const body = reviewOf({ name: 'a' }, {});
    expect(managedFieldsIn(body)).toBeUndefined();
    expect(readReviewWithoutManagedFields(body)).toEqual(readReview(body));
  });
});

test('whatever a pod says in its strings and keys, both readings give the same', () => {
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
  const map = fc.dictionary(tricky, tricky, { maxKeys: 4 });
  fc.assert(
    fc.property(map, map, map, tricky, (labels, annotations, nodeSelector, image) => {
      const spec = { nodeSelector, containers: [{ name: 'a', image, env: [{ name: 'A', value: image }] }] };
      const [lean, whole] = bothReadings(reviewOf({ labels, annotations, managedFields: LIST }, spec));
      expect(lean).toEqual(whole);
    }),
    { numRuns: 2_000 },
  );
});

test('bytes that are not as expected are read as a whole', () => {
  const text = recorded[0]?.toString() ?? '';
  for (const [from, to] of [
    [',"managedFields":[{"manager":"', ',"managedFields":["manager":"'],
    [']},"spec":{', '],"spec":{'],
    ['"spec":{', '"spec":[{'],
  ] as const) {
    const body = Buffer.from(text.replace(from, to));
    const [lean, whole] = bothReadings(body);
    expect(lean).toEqual(whole);
  }
});
