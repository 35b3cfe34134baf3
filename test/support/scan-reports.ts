import type { Finding } from '../../src/core/rules/rule.ts';
import type { ScanReport, ScanRow, WallFinding } from '../../src/report/scan/scan-report.ts';

/** Results of a scan, as tests of its formats give them. */

export const TIME = new Date('2026-11-30T09:00:00.250Z');

/** Of a pod that is as it should be. */
export function rowOf(fields: Partial<ScanRow> = {}): ScanRow {
  const name = fields.name ?? 'ws-1';
  return {
    namespace: 'team-a',
    name,
    uid: `00000000-0000-4000-8000-${Buffer.from(name).toString('hex').slice(-12).padStart(12, '0')}`,
    node: 'worker-1',
    runtimeClass: undefined,
    owner: undefined,
    created: new Date('2026-11-01T08:00:00Z'),
    mode: 'enforce',
    profile: 'userns',
    grant: 'sudo',
    verdict: 'clean',
    findings: [],
    exempted: [],
    wall: { state: 'stands', findings: [] },
    notes: [],
    ...fields,
  };
}

export function reportOf(rows: readonly ScanRow[], fields: Partial<ScanReport> = {}): ScanReport {
  return {
    time: TIME,
    seconds: 1.5,
    cluster: { version: 'v1.36.3', configuration: { sha256: 'b24c'.repeat(16), matchesWebhook: true } },
    rows,
    namespaces: [...new Set(rows.map(({ namespace }) => namespace))],
    mirrors: [],
    incomplete: [],
    notes: [],
    isInconsistent: false,
    ...fields,
  };
}

export const PRIVILEGED: Finding = {
  rule: 'privileged',
  kind: 'escape',
  container: 'workspace',
  path: ['spec', 'containers', 0, 'securityContext', 'privileged'],
  message: 'the container is privileged',
  fix: { remove: true },
};

export const HOST_PATH: Finding = {
  rule: 'volume-types',
  kind: 'escape',
  path: ['spec', 'volumes', 1],
  message: 'volume "docker" is a hostPath of /var/run/docker.sock',
  remedy: 'remove it, and run an engine in the workspace',
};

export const NO_CAPABILITIES: Finding = {
  rule: 'capability-grant',
  kind: 'promise',
  container: 'workspace',
  path: ['spec', 'containers', 0, 'securityContext', 'capabilities'],
  message: 'the grant has no effect: capabilities are missing',
  remedy: 'recreate the pod',
};

export const NO_USER_NAMESPACES: WallFinding = {
  check: 'userns-feature',
  severity: 'error',
  message: 'the runtime of node worker-3 has no user namespaces',
  remedy: 'use a kernel from 6.3, with containerd from 2.0 or CRI-O from 1.31',
};

/** A row for each thing that a format can print, worst first. */
export const ROWS: readonly ScanRow[] = [
  rowOf({
    name: 'ws-1',
    owner: 'StatefulSet/ws-1',
    verdict: 'escapes',
    findings: [PRIVILEGED, HOST_PATH],
    exempted: [{ rule: 'capabilities', value: 'NET_ADMIN', reason: 'the mesh needs it until 2027' }],
  }),
  rowOf({ name: 'ws-2', node: 'worker-3', wall: { state: 'missing', findings: [NO_USER_NAMESPACES] } }),
  rowOf({
    namespace: 'team-b',
    name: 'legacy-0',
    mode: 'warn',
    profile: 'kata-qemu',
    verdict: 'escapes',
    findings: [
      {
        rule: 'runtime-class',
        kind: 'escape',
        path: ['spec', 'runtimeClassName'],
        message: 'runtimeClassName is not set',
        fix: { set: 'kata-qemu' },
      },
    ],
    wall: { state: 'none', findings: [] },
    notes: ['the pod is older than the label of its namespace'],
  }),
  rowOf({
    namespace: 'team-b',
    name: 'odd',
    verdict: 'unjudged',
    wall: { state: 'claimed', findings: [] },
    notes: ['spec.containers is not a list'],
  }),
  rowOf({ namespace: 'team-b', name: 'ws-3', verdict: 'short', grant: 'containers', findings: [NO_CAPABILITIES] }),
  rowOf({
    namespace: 'team-c',
    name: 'waits',
    node: undefined,
    runtimeClass: 'kata-qemu',
    profile: 'kata-qemu',
    wall: {
      state: 'down',
      findings: [{ check: 'events', severity: 'warning', message: 'the node has no /dev/kvm', remedy: 'use nodes with virtualization' }],
    },
  }),
  rowOf({ name: 'ws-4' }),
  rowOf({ name: 'ws-5', mode: 'opt-in' }),
];
