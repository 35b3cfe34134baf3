import { expect, test } from 'vitest';
import { admissionIn, gatesIn } from '../../src/doctor-facts/metrics.ts';
import { samplesOf } from '../../src/doctor-facts/prometheus.ts';

/** Lines as an API server 1.36 prints them. */
const GATES = `# HELP kubernetes_feature_enabled [BETA] This metric records the data about the stage and enablement of a k8s feature.
# TYPE kubernetes_feature_enabled gauge
kubernetes_feature_enabled{name="ProcMountType",stage=""} 1
kubernetes_feature_enabled{name="UserNamespacesHostNetworkSupport",stage="ALPHA"} 0
`;

const buckets = (name: string, counts: readonly (readonly [le: string, calls: number])[]): string =>
  counts
    .map(
      ([le, calls]) =>
        `apiserver_admission_webhook_admission_duration_seconds_bucket{name="${name}",operation="CREATE",le="${le}"} ${calls}`,
    )
    .join('\n');

test('gates are read with their state', () => {
  expect(gatesIn(GATES)).toEqual(
    new Map([
      ['ProcMountType', true],
      ['UserNamespacesHostNetworkSupport', false],
    ]),
  );
});

test('labels may contain quotes, backslashes, braces and line breaks', () => {
  const [sample] = samplesOf('m{a="x\\"}y\\\\",b="\\n"} 1.5e3 1700000000000\n', ['m']).get('m') ?? [];
  expect([...(sample?.labels ?? [])]).toEqual([
    ['a', 'x"}y\\'],
    ['b', '\n'],
  ]);
  expect(sample?.value).toBe(1500);
});

test('a metric without labels is read, and one whose name only starts alike is not', () => {
  const found = samplesOf('m 1\nm_total 2\nmm{a="b"} 3\nm +Inf\n', ['m']).get('m');
  expect(found?.map(({ value }) => value)).toEqual([1, Number.POSITIVE_INFINITY]);
});

test('the slowest 1 % is the lower bound of its bucket, over all operations of an entry', () => {
  const name = 'a.cloister.dev';
  const fast = buckets(name, [
    ['0.005', 200],
    ['0.1', 200],
    ['0.5', 200],
    ['+Inf', 200],
  ]);
  const slow = buckets(name, [
    ['0.005', 0],
    ['0.1', 0],
    ['0.5', 10],
    ['+Inf', 10],
  ]);
  expect(admissionIn(fast).entries.get(name)?.slowestSeconds).toBe(0);
  expect(admissionIn(`${fast}\n${slow}`).entries.get(name)?.slowestSeconds).toBe(0.1);
});

test('of fewer than a hundred calls nothing is said', () => {
  const text = buckets('a.cloister.dev', [
    ['0.005', 0],
    ['+Inf', 99],
  ]);
  expect(admissionIn(text).entries.get('a.cloister.dev')?.slowestSeconds).toBeUndefined();
});

test('requests that failed open are summed for the entries of Cloister alone', () => {
  const text = ['CREATE', 'admit']
    .flatMap((type) =>
      ['a.cloister.dev', 'other.example.com'].map((name) => `apiserver_admission_webhook_fail_open_count{name="${name}",type="${type}"} 2`),
    )
    .join('\n');
  expect([...admissionIn(text).entries]).toEqual([['a.cloister.dev', { failedOpen: 4, slowestSeconds: undefined }]]);
});
