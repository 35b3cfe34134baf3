import type { AdmissionMetrics, EntryMetrics } from '../doctor/facts.ts';
import { type Sample, samplesOf } from './prometheus.ts';

const GATES = 'kubernetes_feature_enabled';
const PLUGIN_CALLS = 'apiserver_admission_controller_admission_duration_seconds_count';
const FAILED_OPEN = 'apiserver_admission_webhook_fail_open_count';
const CALL_SECONDS = 'apiserver_admission_webhook_admission_duration_seconds_bucket';

/** @param text what `/metrics` of an API server answers */
export function gatesIn(text: string): ReadonlyMap<string, boolean> {
  return new Map((samplesOf(text, [GATES]).get(GATES) ?? []).map(({ labels, value }) => [labels.get('name') ?? '', value === 1]));
}

export function admissionIn(text: string): AdmissionMetrics {
  const samples = samplesOf(text, [PLUGIN_CALLS, FAILED_OPEN, CALL_SECONDS]);
  const of = (metric: string): readonly Sample[] => samples.get(metric) ?? [];
  const nameOf = ({ labels }: Sample): string => labels.get('name') ?? '';
  const isOurs = (sample: Sample): boolean => nameOf(sample).endsWith('.cloister.dev');
  const failed = Map.groupBy(of(FAILED_OPEN).filter(isOurs), nameOf);
  const calls = Map.groupBy(of(CALL_SECONDS).filter(isOurs), nameOf);
  const names = new Set([...failed.keys(), ...calls.keys()]);
  return {
    plugins: new Set(of(PLUGIN_CALLS).map(nameOf)),
    entries: new Map(
      [...names].map((name): [string, EntryMetrics] => [
        name,
        {
          failedOpen: (failed.get(name) ?? []).reduce((sum, { value }) => sum + value, 0),
          slowestSeconds: slowestOf(calls.get(name) ?? []),
        },
      ]),
    ),
  };
}

/** Of fewer calls, one alone is the slowest 1 %. */
const MIN_CALLS = 100;

/** The lower bound of the bucket that has the 99th percentile of all calls. */
function slowestOf(buckets: readonly Sample[]): number | undefined {
  const byBound = Map.groupBy(buckets, ({ labels }) => Number((labels.get('le') ?? '').replace('+Inf', 'Infinity')));
  const cumulated = [...byBound].map(([bound, samples]) => ({ bound, calls: samples.reduce((sum, { value }) => sum + value, 0) }));
  cumulated.sort((a, b) => a.bound - b.bound);
  const all = cumulated.at(-1)?.calls ?? 0;
  if (all < MIN_CALLS) return undefined;
  return cumulated.findLast(({ calls }) => calls < all * 0.99)?.bound ?? 0;
}
