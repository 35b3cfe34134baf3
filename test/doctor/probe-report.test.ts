import { describe, expect, test } from 'vitest';
import { findProbeReport, isGvisor, makeProbeReport, mayHaveCapability } from '../../src/doctor/probe-report.ts';

/** As a pod with a user namespace and `procMount: Unmasked` reads them, under runc 1.3. */
const FILES = {
  '/proc/self/uid_map': '         0     131072      65536\n',
  '/proc/self/gid_map': '         0     131072      65536\n',
  '/proc/self/status': 'Name:\tnode\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n',
  '/proc/self/mountinfo': '900 800 0:55 / / ro,relatime - overlay overlay ro\n901 900 0:60 / /proc rw,nosuid - proc proc rw\n',
  '/proc/version': 'Linux version 6.12.0 (gcc) #1 SMP\n',
  '/proc/sys/kernel/osrelease': '6.12.0\n',
  '/proc/sys/kernel/random/boot_id': '7f5e2b7a-8a8e-4a0e-9f43-1f1f5c8a3d10\n',
  '/proc/sys/user/max_user_namespaces': '63432\n',
};

describe('the report of a probe', () => {
  test('has what the files say', () => {
    expect(makeProbeReport(FILES, '0.1.0')).toEqual({
      kind: 'ProbeReport',
      version: '0.1.0',
      uidRanges: [{ inside: 0, outside: 131_072, length: 65_536 }],
      gidRanges: [{ inside: 0, outside: 131_072, length: 65_536 }],
      noNewPrivileges: false,
      seccompMode: 2,
      boundingCapabilities: '00000000a80425fb',
      kernelRelease: '6.12.0',
      kernelVersion: 'Linux version 6.12.0 (gcc) #1 SMP',
      bootId: '7f5e2b7a-8a8e-4a0e-9f43-1f1f5c8a3d10',
      procMounts: [],
      sysboxMounts: [],
      maxUserNamespaces: 63_432,
    });
  });

  test('has no field whose file is missing', () => {
    expect(makeProbeReport({}, '0.1.0')).toEqual({ kind: 'ProbeReport', version: '0.1.0' });
  });

  test('has the ranges of a map with several lines, in the order of the kernel', () => {
    const { uidRanges } = makeProbeReport({ '/proc/self/uid_map': ' 0 100000 1000\n 1000 1000 1\n' }, '0.1.0');
    expect(uidRanges).toEqual([
      { inside: 0, outside: 100_000, length: 1_000 },
      { inside: 1_000, outside: 1_000, length: 1 },
    ]);
  });

  test('separates what masks /proc from what Sysbox emulates', () => {
    const mounts = [
      '901 900 0:60 / /proc rw - proc proc rw',
      '902 901 0:60 /bus /proc/bus ro - proc proc rw',
      '903 901 0:61 / /proc/kcore rw shared:1 - tmpfs tmpfs rw',
      '904 901 0:62 /proc/uptime /proc/uptime rw - fuse sysboxfs rw',
      '905 900 0:63 / /procession rw - tmpfs tmpfs rw',
    ];
    const { procMounts, sysboxMounts } = makeProbeReport({ '/proc/self/mountinfo': `${mounts.join('\n')}\n` }, '0.1.0');
    expect([procMounts, sysboxMounts]).toEqual([['/proc/bus', '/proc/kcore'], ['/proc/uptime']]);
  });
});

describe('the log of a pod', () => {
  const line = JSON.stringify(makeProbeReport(FILES, '0.1.0'));

  test.each([
    ['the line alone', `${line}\n`],
    ['other lines around it', `(node:1) Warning: x\n{"kind":"Other"}\n${line}\n{`],
  ])('the report is found in %s', (_, log) => expect(findProbeReport(log)).toEqual(makeProbeReport(FILES, '0.1.0')));

  test.each([
    ['nothing', ''],
    ['an error', 'error: there is no command "probe"\n'],
    ['half a line', line.slice(0, 60)],
    ['another kind', '{"kind":"Pod"}'],
    ['null', 'null'],
    ['fields of other types', JSON.stringify({ kind: 'ProbeReport', uidRanges: '0 0 1' })],
  ])('no report is found in %s', (_, log) => expect(findProbeReport(log)).toBeUndefined());
});

test.each([
  ['00000000a80425fb', 'SETUID', true],
  ['00000000a80425fb', 'SETGID', true],
  ['000001ffffffffff', 'SETUID', true],
  ['0000000000000080', 'SETUID', true],
  ['0000000000000080', 'SETGID', false],
  ['0000000000000000', 'SETUID', false],
  ['', 'SETUID', undefined],
  ['none', 'SETUID', undefined],
] as const)('whether the capabilities %s contain %s: %s', (boundingCapabilities, name, expected) => {
  expect(mayHaveCapability({ boundingCapabilities }, name)).toBe(expected);
});

test.each([
  ['Linux version 4.19.0-gvisor #1 SMP Sun Jan 10 15:06:54 PST 2016', true],
  ['Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016', true],
  ['Linux version 6.12.0 (gcc) #1 SMP Sun Jan 10 15:06:54 PST 2026', false],
  ['', undefined],
])('whether "%s" is the kernel of gVisor: %s', (kernelVersion, expected) => expect(isGvisor({ kernelVersion })).toBe(expected));
