import { Writable } from 'node:stream';
import { WriteStream } from 'node:tty';
import { describe, expect, test, vi } from 'vitest';
import { REMOVE } from '../../src/core/rules/rule.ts';
import { printJson } from '../../src/report/json.ts';
import { type CheckReport, FAIL_ON, failsBy, type PlacedFinding, type PodReport, type UnjudgedReport } from '../../src/report/report.ts';
import { printFindings, printText } from '../../src/report/text.ts';

const pipe = new Writable() as unknown as NodeJS.WriteStream;
const terminal = Object.assign(new Writable(), {
  isTTY: true,
  // Without the environment of the machine: under CI, Node assumes a terminal without colours.
  getColorDepth: () => WriteStream.prototype.getColorDepth({ TERM: 'xterm-256color', NO_COLOR: process.env.NO_COLOR }),
}) as unknown as NodeJS.WriteStream;

const breach: PlacedFinding = {
  rule: 'capabilities',
  kind: 'escape',
  path: ['spec', 'containers', 0, 'securityContext', 'capabilities', 'add', 1],
  container: 'dev',
  message: 'capability SYS_ADMIN is added',
  fix: REMOVE,
  ...{ line: 12, column: 5, endLine: 12, endColumn: 14 },
};
const byHand: PlacedFinding = {
  rule: 'node-name',
  kind: 'escape',
  path: ['spec', 'nodeName'],
  message: 'nodeName is a',
  remedy: 'remove it; use affinity',
  ...{ line: 4, column: 3, endLine: 4, endColumn: 16 },
};
const promise: PlacedFinding = {
  ...breach,
  rule: 'proc-mount',
  kind: 'promise',
  path: ['spec', 'x'],
  message: 'procMount is not set',
  fix: { set: 'Unmasked' },
};

const podWith = (...findings: PlacedFinding[]): PodReport => ({
  ...{ file: 'dind.yaml', line: 1, column: 1, endLine: 1, endColumn: 15, kind: 'Pod', name: 'dind', namespace: 'team-a' },
  ...{ profile: 'userns', mode: 'enforce', grant: 'sudo', chosenBy: ['--profile', 'config.yaml'] },
  verdict: findings.includes(byHand) ? 'refused' : findings.length > 0 ? 'repairable' : 'clean',
  findings,
  exempted: [],
});
const EMPTY: CheckReport = { pods: [], unjudged: [], skipped: [], ungoverned: 0, withoutPod: 0, ignored: 0 };
const reportOf = (parts: Partial<CheckReport>): CheckReport => ({ ...EMPTY, ...parts });
const report = (...pods: PodReport[]): CheckReport => reportOf({ pods, withoutPod: 2 });
const sandbox: UnjudgedReport = {
  ...{ file: 'sandbox.yaml', line: 3, column: 1, endLine: 3, endColumn: 9 },
  ...{ kind: 'Workflow', name: '', reason: 'spec.image may be part of a pod' },
};

describe('text', () => {
  test('the text lists each pod with its findings, one per line with its place', () => {
    expect(
      printText(report(podWith(breach, promise), podWith()), pipe),
    ).toBe(`dind.yaml:1:1: Pod dind: repairable under profile userns, grant sudo
dind.yaml:12:5: escape   capabilities  spec.containers[0].securityContext.capabilities.add[1] (container "dev"): capability SYS_ADMIN is added; remove it
dind.yaml:12:5: promise  proc-mount  spec.x (container "dev"): procMount is not set; set it to Unmasked

2 pods: 1 repairable (by \`cloister fix\`, or at admission), 1 clean; judged by profile userns, grant sudo (from --profile and config.yaml); 2 objects without a pod
`);
  });

  test('the text counts the pods that a person must change, and names each policy', () => {
    const labelled = { ...podWith(byHand), profile: 'gvisor', chosenBy: ["the pod's label", 'config.yaml'] };
    expect(printText(reportOf({ pods: [podWith(breach), podWith(byHand), labelled] }), pipe)).toMatch(
      /\n3 pods: 2 refused \(change by hand\), 1 repairable \(by `cloister fix`, or at admission\); judged by profile userns, grant sudo \(from --profile and config\.yaml\): 2; by profile gvisor, grant sudo \(from the pod's label and config\.yaml\): 1\n$/,
    );
  });

  test('the text names what is not judged', () => {
    const skipped = [
      { file: 'values.yaml', message: 'this is no manifest', remedy: 'leave it out' },
      { file: 'pod.yaml', line: 3, column: 9, message: 'this is a template', remedy: 'render it first' },
    ];
    expect(
      printText(reportOf({ unjudged: [sandbox], skipped, ignored: 1 }), pipe),
    ).toBe(`sandbox.yaml:3:1: Workflow (no name): not judged: spec.image may be part of a pod
values.yaml: skipped: this is no manifest; leave it out
pod.yaml:3:9: skipped: this is a template; render it first

no pod judged; 1 object not judged; 2 files skipped; 1 file ignored
`);
  });

  test('a pod of a mode that does not enforce is admitted, and the summary says what chose its profile', () => {
    const warned: PodReport = { ...podWith(breach), mode: 'warn', chosenBy: ['governs[0] (lab) of config.yaml'] };
    const text = printText(reportOf({ pods: [warned], ungoverned: 1 }), pipe);
    expect(text).toContain('Pod dind: admitted under profile userns, grant sudo, in mode warn; enforcing gives: repairable\n');
    expect(text).toContain(
      'remove it\n\n1 pod: 1 admitted without enforcement; judged by profile userns in mode warn, grant sudo (from governs[0] (lab) of config.yaml)',
    );
    expect(text).toMatch(/; 1 pod not judged, because nothing governs its namespace\n$/);
    for (const failOn of FAIL_ON) expect(failsBy(report(warned), failOn)).toBe(false);
  });

  test('findings are printed without a summary where it is quiet', () => {
    expect(printFindings([podWith(byHand)], pipe)).toBe(`dind.yaml:1:1: Pod dind: refused under profile userns, grant sudo
dind.yaml:4:3: escape   node-name  spec.nodeName: nodeName is a; remove it; use affinity
`);
    expect(printFindings([], pipe)).toBe('');
  });

  test('the text has colours only on a terminal, and not with NO_COLOR', () => {
    expect(printText(report(podWith(breach)), pipe)).not.toContain('\u001b[');
    vi.stubEnv('FORCE_COLOR', undefined);
    vi.stubEnv('NO_COLOR', undefined);
    expect(printText(report(podWith(breach)), terminal)).toContain('\u001b[31mescape');
    vi.stubEnv('NO_COLOR', '1');
    expect(printText(report(podWith(breach)), terminal)).not.toContain('\u001b[');
    vi.unstubAllEnvs();
  });

  test('control characters of a manifest are printed as text', () => {
    expect(printText(report({ ...podWith(breach), name: 'a\u001b[2J\nforged' }), pipe)).toContain('Pod a\\u{1b}[2J\\u{a}forged');
  });
});

test('the JSON report has the documented fields', () => {
  const skipped = [{ file: 'values.yaml', message: 'this is no manifest', remedy: 'leave it out' }];
  const { pods, ...rest } = JSON.parse(
    printJson(reportOf({ pods: [podWith(breach, byHand)], withoutPod: 2, unjudged: [sandbox], skipped, ignored: 3 })),
  );
  expect(rest).toEqual({
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'CheckReport',
    summary: { pods: 1, clean: 0, repairable: 0, refused: 1, ungoverned: 0, withoutPod: 2, unjudged: 1, skipped: 1, ignored: 3 },
    unjudged: [sandbox],
    skipped,
  });
  expect(pods).toEqual([
    {
      ...{ file: 'dind.yaml', line: 1, column: 1, endLine: 1, endColumn: 15, kind: 'Pod', name: 'dind', namespace: 'team-a' },
      ...{ profile: 'userns', mode: 'enforce', grant: 'sudo', chosenBy: ['--profile', 'config.yaml'], verdict: 'refused' },
      findings: [
        {
          ...{ rule: 'capabilities', kind: 'escape', container: 'dev', line: 12, column: 5, endLine: 12, endColumn: 14 },
          path: 'spec.containers[0].securityContext.capabilities.add[1]',
          pointer: '/spec/containers/0/securityContext/capabilities/add/1',
          ...{ message: 'capability SYS_ADMIN is added', remedy: 'remove it', fixable: true },
        },
        {
          ...{ rule: 'node-name', kind: 'escape', path: 'spec.nodeName', pointer: '/spec/nodeName' },
          ...{ line: 4, column: 3, endLine: 4, endColumn: 16 },
          ...{ message: 'nodeName is a', remedy: 'remove it; use affinity', fixable: false },
        },
      ],
      exempted: [],
    },
  ]);
});

/** No repair keeps it. */
const { fix: _, ...kept } = promise;

test('--fail-on names what decides the exit status', () => {
  const warned: PodReport = { ...podWith(kept), verdict: 'clean' };
  const cases = [reportOf({}), reportOf({ unjudged: [sandbox] }), report(warned), report(podWith(breach)), report(podWith(byHand))];
  const failing = FAIL_ON.map((failOn) => [failOn, cases.map((each) => failsBy(each, failOn))]);
  expect(Object.fromEntries(failing)).toEqual({
    never: [false, false, false, false, false],
    refused: [false, false, false, false, true],
    unjudged: [false, true, false, false, true],
    repairable: [false, false, false, true, true],
    promise: [false, false, true, true, true],
  });
});
