import { describe, expect, test } from 'vitest';
import { makeClassScheduling, printToleration } from '../../src/core/class-scheduling.ts';

/** What the API server leaves out, and what it writes for it. */
const FULL = { key: '', operator: 'Equal', value: '', effect: '' } as const;

describe('printToleration', () => {
  test.each(Object.keys(FULL) as (keyof typeof FULL)[])('an absent %s equals its default', (field) => {
    const toleration = { key: 'a', operator: 'Exists', value: 'b', effect: 'NoExecute', tolerationSeconds: 5 } as const;
    expect(printToleration({ ...toleration, [field]: undefined })).toBe(printToleration({ ...toleration, [field]: FULL[field] }));
  });

  test('tolerations that differ in one field differ', () => {
    const one = { key: 'a', operator: 'Equal', value: 'b', effect: 'NoExecute', tolerationSeconds: 5 } as const;
    const others = [
      { key: 'c' },
      { operator: 'Exists' },
      { value: 'c' },
      { effect: 'NoSchedule' },
      { tolerationSeconds: 6 },
      { tolerationSeconds: null },
    ];
    const texts = [one, ...others.map((other) => ({ ...one, ...other }))].map(printToleration);
    expect(new Set(texts).size).toBe(texts.length);
  });
});

test('the scheduling of a class that has none is empty', () => {
  expect(makeClassScheduling({})).toEqual({ nodeSelector: new Map(), tolerations: new Set() });
});
