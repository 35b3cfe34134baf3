import { expect, test } from 'vitest';
import { command } from '../../src/commands/serve.ts';
import { SHED_REASONS, type ShedReason } from '../../src/core/request-record.ts';
import { HTTP_ERRORS } from '../../src/webhook/http/errors.ts';
import { LIMITS } from '../../src/webhook/http/limits.ts';
import type { ConcurrencyLimits } from '../../src/webhook/http/load-shedding.ts';
import { INVALID_REVIEW } from '../../src/webhook/review/respond.ts';
import { readPage, rowsOf, sectionOf } from './page.ts';

const page = readPage('docs/serving.md');

/** The limit that each reason for shedding reports. */
const LIMIT_OF = {
  late: 'loopDelayMs',
  arriving: 'uploads',
  bytes: 'bodyBytes',
  waiting: 'queuedBytes',
} as const satisfies Record<ShedReason, keyof ConcurrencyLimits>;

test('the page describes exactly the flags of the command', () => {
  const described = [...page.text.matchAll(/^### `(--[\w-]+)`$/gm)].map(([, flag]) => flag);
  expect(described).toEqual(command.options.map(({ long }) => long));
});

test('the page states the concurrency limits of the code', () => {
  const [, ...rows] = sectionOf(page, 'Limits')
    .split('| `reason` |')
    .slice(1)
    .flatMap((table) => table.split('\n'));
  const stated = rows.flatMap((row) => {
    const [, reason, , enforced, watched] = row.split('|').map((cell) => cell.trim().replaceAll('`', ''));
    return reason === undefined || reason.startsWith('--') || watched === undefined ? [] : [[reason, amount(enforced), amount(watched)]];
  });
  expect(stated).toEqual(SHED_REASONS.map((reason) => [reason, LIMITS.enforced[LIMIT_OF[reason]], LIMITS.watched[LIMIT_OF[reason]]]));
});

test('the page lists every error code with its status', () => {
  const listed = rowsOf(sectionOf(page, 'Errors')).map(([code, status]) => [code, Number(status)]);
  const errors = [[INVALID_REVIEW, 400], ...Object.entries(HTTP_ERRORS).map(([code, { status }]) => [code, status])];
  expect(listed.toSorted()).toEqual(errors.map(([code, status]) => [`\`${code}\``, status]).toSorted());
});

function amount(text = ''): number {
  const [, number, unit] = /^([\d.]+) ?(\w*)$/.exec(text) ?? [];
  return Number(number) * ({ s: 1_000, MiB: 1024 * 1024 }[unit ?? ''] ?? 1);
}
