import { expect, test } from 'vitest';
import { command } from '../../src/commands/serve.ts';
import { SHED_REASONS } from '../../src/core/request-record.ts';
import { LIMITS } from '../../src/webhook/http/server.ts';
import { readPage, sectionOf } from './page.ts';

const page = readPage('docs/serving.md');

test('every flag has its section, and no other', () => {
  const described = [...page.text.matchAll(/^### `(--[\w-]+)`$/gm)].map(([, flag]) => flag);
  expect(described).toEqual(command.options.map(({ long }) => long));
});

test('the limits on crowds are those that hold', () => {
  const [, ...rows] = sectionOf(page, 'What callers may take')
    .split('| `reason` |')
    .slice(1)
    .flatMap((table) => table.split('\n'));
  const told = rows.flatMap((row) => {
    const [, reason, , enforced, watched] = row.split('|').map((cell) => cell.trim().replaceAll('`', ''));
    return reason === undefined || reason.startsWith('--') || watched === undefined ? [] : [[reason, amount(enforced), amount(watched)]];
  });
  expect(told).toEqual(SHED_REASONS.map((reason) => [reason, LIMITS.enforced[reason], LIMITS.watched[reason]]));
});

function amount(text = ''): number {
  const [, number, unit] = /^([\d.]+) ?(\w*)$/.exec(text) ?? [];
  return Number(number) * ({ s: 1_000, MiB: 1024 * 1024 }[unit ?? ''] ?? 1);
}
