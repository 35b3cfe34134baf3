import { expect, test } from 'vitest';
import type { DoctorAnswer } from '../../src/doctor/check.ts';
import { examine, selectChecks } from '../../src/doctor/examine.ts';
import type { DoctorReport } from '../../src/report/doctor/doctor-report.ts';
import { printDoctorJson } from '../../src/report/doctor/json.ts';
import { printDoctorText } from '../../src/report/doctor/text.ts';
import { contextWith, factsWith } from '../support/doctor-facts.ts';

const answer = (level: DoctorAnswer['level'], more: Partial<DoctorAnswer> = {}): DoctorAnswer => ({
  check: 'psa-level',
  level,
  objects: [],
  message: 'what is wrong',
  remedy: 'What to do.',
  ...more,
});

function report(answers: readonly DoctorAnswer[], more: Partial<DoctorReport['cluster']> = {}): DoctorReport {
  const cluster = {
    version: 'v1.36.3',
    nodes: 3,
    cloister: '0.1.0',
    configuration: '0123456789abcdef',
    origin: 'config.yaml',
    profiles: [{ id: 'userns', grant: 'sudo' }],
    namespaces: { enforce: 2, warn: 1, audit: 0 },
    ...more,
  };
  return { cluster, answers };
}

test('the text names what was examined, each problem with its remedy, and counts the answers', () => {
  const answers = [answer('error', { profile: 'userns' }), answer('unknown', { check: 'quota' }), answer('ok'), answer('ok')];
  expect(
    printDoctorText(report(answers), process.stdout),
  ).toBe(`Kubernetes v1.36.3, 3 nodes; cloister 0.1.0, configuration 0123456789ab of config.yaml; profiles userns (grant sudo); 2 namespaces enforce, 1 warn, 0 audit

error    psa-level  userns: what is wrong
                    What to do.
unknown  quota      what is wrong
                    What to do.

4 answers: 2 ok, 1 error, 0 warnings, 0 info, 1 unknown. Not known: quota. \`cloister explain CHECK\` describes a check.
`);
});

test('the text leaves out what could not be listed', () => {
  const [first] = printDoctorText(report([], { nodes: undefined, namespaces: undefined, profiles: [] }), process.stdout).split('\n');
  expect(first).toBe('Kubernetes v1.36.3; cloister 0.1.0, configuration 0123456789ab of config.yaml; profiles none');
});

test('the text escapes what other programs wrote', () => {
  const text = printDoctorText(report([answer('error', { message: 'a\nerror    forged \u001b[31m' })]), process.stdout);
  expect(text).toContain('a\\u{a}error    forged \\u{1b}[31m');
});

test('JSON has every answer with every object, and the same counts', () => {
  const objects = ['a', 'b', 'c', 'd'];
  const printed = JSON.parse(printDoctorJson(report([answer('warning', { objects }), answer('ok', { profile: 'userns' })])));
  expect(printed).toMatchObject({
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'DoctorReport',
    cluster: { version: 'v1.36.3', nodes: 3 },
    summary: { error: 0, warning: 1, unknown: 0, info: 0, ok: 1 },
    checks: [
      { id: 'psa-level', answer: 'warning', objects, message: 'what is wrong', remedy: 'What to do.' },
      { id: 'psa-level', answer: 'ok', profile: 'userns' },
    ],
  });
});

test('answers are sorted by level, and for each level in the order of the checks', () => {
  const facts = factsWith({ serverVersion: { text: 'v1.29.0', major: 1, minor: 29 }, hasPolicies: false, endpoints: [] });
  const found = examine(selectChecks({ dryRuns: true }), { ...facts, quotas: { missing: 'no' } }, contextWith());
  expect(found.filter(({ level }) => level !== 'ok').map(({ check, level }) => `${level} ${check}`)).toEqual([
    'error api-version',
    'error api-policies',
    'error service-endpoints',
    'warning api-skew',
    'unknown quota',
  ]);
});

const ids = (allowed: Parameters<typeof selectChecks>[0]): readonly string[] => selectChecks(allowed).map(({ id }) => id);

test.each([
  ['dry runs', 'dryRuns', ['reach', 'probe-grant', 'probe-refused', 'probe-opt-in', 'psa-default', 'probe-labels']],
  ['pods that run', 'pods', ['run-start', 'run-userns', 'run-sysbox', 'run-kata', 'run-gvisor', 'run-seccomp', 'run-grant']],
  ['the kubelets', 'kubelets', ['ids-per-pod', 'userns-errors', 'cgroups']],
])('without the permission for %s, exactly the checks that need it are left out', (_, permission, checks) => {
  const everything = { dryRuns: true, pods: true, kubelets: true };
  const kept = new Set(ids({ ...everything, [permission]: false }));
  expect(ids(everything).filter((id) => !kept.has(id))).toEqual(checks);
});
