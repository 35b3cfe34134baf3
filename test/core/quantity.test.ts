import { expect, test } from 'vitest';
import { bytesOf, quantityOf } from '../../src/core/quantity.ts';

const GIB = 1_073_741_824;

test.each<[unknown, number]>([
  ['1Gi', GIB],
  ['4096Mi', 4 * GIB],
  ['0.5Gi', GIB / 2],
  ['.5Gi', GIB / 2],
  ['1.Gi', GIB],
  ['+1Gi', GIB],
  ['1Ti', 1_024 * GIB],
  ['1Ki', 1_024],
  ['2Ei', 2 ** 61],
  ['500M', 500_000_000],
  ['1G', 1_000_000_000],
  ['1k', 1_000],
  ['1E', 1_000_000_000_000_000_000],
  ['1e9', 1_000_000_000],
  ['1E9', 1_000_000_000],
  ['5e+8', 500_000_000],
  ['1e-1', 0.1],
  ['1073741824', GIB],
  ['128974848000m', 128_974_848],
  ['1000000u', 1],
  ['1000000000n', 1],
  [GIB, GIB],
  [1e21 / 1e12, 1_000_000_000],
])('%j is %d bytes', (quantity, bytes) => expect(bytesOf(quantity)).toBeCloseTo(bytes, 6));

test.each([
  ...[
    '',
    ' ',
    '1 Gi',
    ' 1Gi',
    '1Gi\n',
    'Gi',
    '.',
    '.Gi',
    '-1Gi',
    '1gi',
    '1GI',
    '1g',
    '1K',
    '1B',
    '1Gib',
    '1ki',
    '1,5Gi',
    '1.5.0Gi',
    '1e',
    '1e9Gi',
    '0x10',
  ],
  ...['١Gi', 'NaN', 'Infinity', '1e400', '9223372036854775808', '8Ei', 1e19, Number.NaN, Number.POSITIVE_INFINITY, -1],
  ...[null, undefined, true, {}, [], ['1Gi'], { memory: '1Gi' }],
])('%j is no quantity that the API server holds', (quantity) => expect(bytesOf(quantity)).toBeUndefined());

test.each(['0', '0Gi', '0.0Mi', '0e9', 0])('the quantity %j is no limit', (quantity) => expect(bytesOf(quantity)).toBeUndefined());

test('a quantity of a megabyte of text is read within the time limit', () => {
  const before = performance.now();
  for (const text of ['1'.repeat(1_000_000), `${'1'.repeat(1_000_000)}x`, `1.${'0'.repeat(1_000_000)}x`, `1e${'9'.repeat(1_000_000)}`])
    bytesOf(text);
  expect(performance.now() - before).toBeLessThan(1_000);
});

test.each([
  [GIB, '1Gi'],
  [GIB * 2, '2Gi'],
  [GIB * 1.5, '1536Mi'],
  [GIB * 1_024, '1Ti'],
  [268_435_456, '256Mi'],
  [250_000_000, '238Mi'],
  [GIB - 1, '1023Mi'],
  [0, '0Mi'],
  [2 ** 62, '4Ei'],
  [2 ** 70, '1024Ei'],
])('%d bytes are written %s', (bytes, quantity) => expect(quantityOf(bytes)).toBe(quantity));
