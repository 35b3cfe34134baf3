import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
/** `./dev test` passes its arguments on to vitest. */
const commands = [...globSync('tools/commands/*.ts', { cwd: root }), 'bench/run.ts'].filter((file) => !file.endsWith('/test.ts'));

test.each(commands)('%s prints its usage for --help and does nothing else', async (file) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file, '--help'], { cwd: root, timeout: 60_000 });
  expect(stdout).toMatch(/^usage: /i);
  expect(stderr).toBe('');
});
