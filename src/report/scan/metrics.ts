import { Gauge, Registry } from 'prom-client';
import type { ScanReport, ScanRow, ScanVerdict, WallState } from './scan-report.ts';

const VERDICTS: readonly ScanVerdict[] = ['clean', 'short', 'escapes', 'unjudged'];
const WALLS: readonly WallState[] = ['stands', 'claimed', 'missing', 'none', 'down'];

/**
 * The counts of a scan in the text format of Prometheus, for the textfile collector of the node exporter. No label has the name of a pod or of a
 * namespace. Each mode and profile that some pod has comes with every verdict and every state of the wall, so that an alert sees a count return to 0.
 */
export function printScanMetrics({ rows, time, seconds, incomplete }: ScanReport): Promise<string> {
  const registry = new Registry();
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Gauge({ name: `cloister_scan_${name}`, help, labelNames, registers: [registry] });

  const known = rows.map((row) => ({ ...row, profile: profileOf(row) }));
  const pods = gauge('pods', 'Pods that run, by the mode and the profile that they were judged by, and by verdict.', [
    'mode',
    'profile',
    'verdict',
  ]);
  for (const { mode, profile } of known) for (const verdict of VERDICTS) pods.set({ mode, profile, verdict }, 0);
  for (const { mode, profile, verdict } of known) pods.inc({ mode, profile, verdict });

  const walls = gauge('walls', 'Pods that run, by profile, and by whether the wall of the profile is there.', ['profile', 'wall']);
  for (const { profile } of known) for (const wall of WALLS) walls.set({ profile, wall }, 0);
  for (const { profile, wall } of wallsOf(known)) walls.inc({ profile, wall: wall.state });

  gauge('incomplete', '1 if a part of the cluster could not be read, otherwise 0.').set(incomplete.length === 0 ? 0 : 1);
  gauge('timestamp_seconds', 'Unix time at which the scan started, in seconds.').set(time.getTime() / 1_000);
  gauge('duration_seconds', 'Seconds that the scan took.').set(seconds);
  return registry.metrics();
}

/** A pod without a grant is not judged, and a tenant may have written its profile: the label of a pod must not become a label of a metric. */
function profileOf({ profile, grant }: ScanRow): string {
  return grant === '' ? 'unknown' : profile;
}

/** A pod with the same profile in several modes has one wall. */
function wallsOf(rows: readonly ScanRow[]): Iterable<ScanRow> {
  return new Map(rows.map((row) => [`${row.uid} ${row.profile}`, row])).values();
}
