import { Writable } from 'node:stream';
import { WriteStream } from 'node:tty';
import { describe, expect, test, vi } from 'vitest';
import { REMOVE } from '../../src/core/rules/rule.ts';
import { printJson } from '../../src/report/json.ts';
import type { CheckReport, PlacedFinding, PodReport } from '../../src/report/report.ts';
import { printText } from '../../src/report/text.ts';

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
  line: 12,
};
const byHand: PlacedFinding = {
  rule: 'node-name',
  kind: 'escape',
  path: ['spec', 'nodeName'],
  message: 'nodeName is a',
  remedy: 'remove it; use affinity',
  line: 4,
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
  ...{ file: 'dind.yaml', line: 1, kind: 'Pod', name: 'dind', namespace: 'team-a', profile: 'userns', grant: 'sudo' },
  ...{ mode: 'enforce', because: undefined },
  findings,
  exempted: [],
});
const report = (...pods: PodReport[]): CheckReport => ({ pods, choices: [], notJudged: 0, withoutPod: 2 });

describe('text', () => {
  test('a pod of a mode that does not enforce is admitted, and what chose its profile is said before the summary', () => {
    const choice = 'namespace team-a: judged by profile userns in mode warn, because default of the configuration governs the namespace';
    const text = printText({ ...report({ ...podWith(breach), mode: 'warn' }), choices: [choice] }, pipe);
    expect(text).toContain(
      'dind.yaml: Pod dind (line 1): admitted under profile userns, grant sudo, in mode warn\n  escape   capabilities',
    );
    expect(text).toContain(`remove it\n\n${choice}\n\n1 pod, none refused`);
  });
  test('the text lists each pod with its findings, one per line', () => {
    expect(
      printText(report(podWith(breach, promise), podWith()), pipe),
    ).toBe(`dind.yaml: Pod dind (line 1): refused under profile userns, grant sudo
  escape   capabilities  spec.containers[0].securityContext.capabilities.add[1] (container "dev"): capability SYS_ADMIN is added; remove it
  promise  proc-mount  spec.x (container "dev"): procMount is not set; set it to Unmasked

2 pods, 1 refused as written: 1 can be fixed (\`cloister fix\`, or at admission); 2 objects without a pod skipped
`);
  });

  test('the text counts the pods that a person must change', () => {
    expect(printText(report(podWith(breach), podWith(byHand)), pipe)).toContain(
      '2 refused as written: 1 can be fixed (`cloister fix`, or at admission), 1 must be changed by hand',
    );
  });

  test('a promise does not make a pod denied', () => {
    expect(printText({ ...report(podWith(promise)), withoutPod: 0 }, pipe)).toMatch(/: admitted under[\s\S]*\n1 pod, none refused\n$/);
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
  expect(JSON.parse(printJson(report(podWith(breach, byHand))))).toEqual({
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'CheckReport',
    summary: { pods: 1, refused: 1, notJudged: 0, withoutPod: 2 },
    pods: [
      {
        ...{
          file: 'dind.yaml',
          line: 1,
          kind: 'Pod',
          name: 'dind',
          namespace: 'team-a',
          profile: 'userns',
          grant: 'sudo',
          mode: 'enforce',
          verdict: 'refused',
        },
        findings: [
          {
            rule: 'capabilities',
            kind: 'escape',
            container: 'dev',
            path: 'spec.containers[0].securityContext.capabilities.add[1]',
            pointer: '/spec/containers/0/securityContext/capabilities/add/1',
            line: 12,
            message: 'capability SYS_ADMIN is added',
            remedy: 'remove it',
            fixable: true,
          },
          {
            rule: 'node-name',
            kind: 'escape',
            path: 'spec.nodeName',
            pointer: '/spec/nodeName',
            line: 4,
            message: 'nodeName is a',
            remedy: 'remove it; use affinity',
            fixable: false,
          },
        ],
        exempted: [],
      },
    ],
  });
});
