import { adviceFieldsOf, placeFieldsOf } from '../json.ts';
import type { ScanReport, ScanRow } from './scan-report.ts';
import { summaryOf } from './summary.ts';

/**
 * The report for programs. Later versions only add fields:
 *
 * - `apiVersion`, `kind`: the type of the document; `time`: when the scan began; `seconds`: how long it took
 * - `cluster`: `version`; `configuration`: `sha256` and `matchesWebhook` (absent: the serving pods could not be asked)
 * - `summary`: number of `pods`, of `namespaces` that have them; of pods with `escapes`, with `promises` only, with `wallsMissing`, and `unjudged`; `inconsistent`:
 *   whether the pods may be of different moments
 * - `mirrors[]`: `namespace/name` of pods that are not judged, because they mirror static pods of nodes
 * - `incomplete[]`: what could not be read; `notes[]`: what else a reader should know
 * - `pods[]`: `namespace`, `name`, `uid`, `created`, `node`, `runtimeClass` and `owner` (each if there is one), `mode`, `profile`, `grant`, `verdict` (`clean`,
 *   `short`, `escapes` or `unjudged`), `notes[]`, `exempted[]` (`rule`, `value`, `reason`); a pod with several modes has an element for each
 * - `pods[].wall`: `is` (`stands`, `claimed`, `missing`, `none` or `down`), `findings[]` (`check`, `severity`, `message`, `remedy`)
 * - `pods[].findings[]`: as in the report of `cloister check`, without places of files
 *
 * @returns pieces of the document, one for each pod: the whole text of a large cluster needs more memory than its rows
 */
export function* printScanJson(report: ScanReport): Generator<string, void, undefined> {
  const { time, seconds, cluster, rows, mirrors, incomplete, notes, isInconsistent } = report;
  const head = {
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'ScanReport',
    time,
    seconds,
    cluster,
    summary: { ...summaryOf(report), inconsistent: isInconsistent },
    mirrors,
    incomplete,
    notes,
  };
  // Without the bracket that closes the object.
  yield `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "pods": [`;
  for (const [index, row] of rows.entries()) {
    const pod = JSON.stringify(podFieldsOf(row), null, 2).replaceAll('\n', '\n    ');
    yield `${index === 0 ? '' : ','}\n    ${pod}`;
  }
  yield `${rows.length === 0 ? '' : '\n  '}]\n}\n`;
}

function podFieldsOf({ wall: { state, findings: ofWall }, findings, ...row }: ScanRow): object {
  return {
    ...row,
    wall: { is: state, findings: ofWall },
    findings: findings.map((finding) => ({ ...placeFieldsOf(finding), ...adviceFieldsOf(finding) })),
  };
}
