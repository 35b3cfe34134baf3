import { expect, test } from 'vitest';
import { printPlace } from '../../src/core/finding-text.ts';

test('the place of a finding is its path, with the name of its container', () => {
  expect(printPlace({ path: ['spec', 'hostPID'] })).toBe('spec.hostPID');
  expect(printPlace({ path: ['spec', 'containers', 0, 'tty'], container: 'web' })).toBe('spec.containers[0].tty (container "web")');
});

test('T68: the place of a finding is one line, whatever its names contain', () => {
  expect(printPlace({ path: ['metadata', 'labels', 'a\u202eb'], container: 'a\nb' })).toBe(
    'metadata.labels["a\\u{202e}b"] (container "a\\u{a}b")',
  );
});
