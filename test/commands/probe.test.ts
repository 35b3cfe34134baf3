import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { expect, test } from 'vitest';
import { findProbeReport } from '../../src/doctor/probe-report.ts';
import { cloister, MAIN } from '../support/run.ts';

test('probe prints one line of JSON, with what this machine says of its kernel', async () => {
  const { code, stdout, stderr } = await cloister(['probe']);
  expect([code, stderr, stdout.trim().split('\n').length]).toEqual([0, '', 1]);
  expect(JSON.parse(stdout)).toMatchObject({
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'ProbeReport',
    kernelRelease: release(),
    bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
  });
  const [, outside, length] = (await readFile('/proc/self/uid_map', 'utf8')).trim().split('\n')[0]?.trim().split(/\s+/).map(Number) ?? [];
  expect(findProbeReport(stdout)?.uidRanges?.[0]).toMatchObject({ outside, length });
});

test('probe --hold runs on after the line, and ends with 0 at SIGTERM', async () => {
  const child = spawn(process.execPath, [MAIN, 'probe', '--hold', '10m'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  expect(findProbeReport(line.toString())).toBeDefined();
  expect(child.exitCode).toBeNull();
  child.kill('SIGTERM');
  expect(await once(child, 'close')).toEqual([0, null]);
});

test('probe --hold ends by itself', async () => {
  expect(await cloister(['probe', '--hold', '1ms'])).toMatchObject({ code: 0 });
});
