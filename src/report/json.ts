import { escapesOf } from '../core/judge.ts';
import { printPath } from '../core/path.ts';
import { pointerOf } from '../core/pointer.ts';
import { remedyOf } from '../core/remedy.ts';
import { type CheckReport, isDenied, type PlacedFinding, type PodReport } from './report.ts';

/**
 * The report for programs. Later versions only add fields:
 *
 * - `apiVersion`, `kind`: the type of the document
 * - `summary`: number of `pods`, of `refused` pods (they would be denied as written), of pods `notJudged` because nothing
 *   governs their namespace, and of objects `withoutPod`; the last two are skipped
 * - `pods[]`: `file`, `line`, `kind`, `name`, `namespace`, `profile`, `grant`, `mode`, `because` (why this profile and mode, where that is not obvious),
 *   `verdict` (what mode enforce gives: `clean` or `refused`), `exempted[]` (`rule`,
 *   `value`, `reason`), and
 * - `pods[].findings[]`: `rule`, `kind` (`escape`, `promise` or `unknown`), `container` (if the finding is in one), `path` (`spec.hostPID`), `pointer`
 *   (RFC 6901, from the object), `line`, `message`, `remedy`, `fixable` (whether `cloister fix` fixes it)
 */
export function printJson(report: CheckReport): string {
  const { pods, notJudged, withoutPod } = report;
  const document = {
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'CheckReport',
    summary: { pods: pods.length, refused: pods.filter(isDenied).length, notJudged, withoutPod },
    pods: pods.map(podFieldsOf),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function podFieldsOf(pod: PodReport): object {
  const { file, line, kind, name, namespace, profile, grant, mode, because, findings, exempted } = pod;
  const verdict = escapesOf(findings).length > 0 ? 'refused' : 'clean';
  return { file, line, kind, name, namespace, profile, grant, mode, because, verdict, findings: findings.map(findingFieldsOf), exempted };
}

function findingFieldsOf(finding: PlacedFinding): object {
  const { rule, kind, container, path, line, message, fix } = finding;
  return {
    rule,
    kind,
    ...(container === undefined ? {} : { container }),
    path: printPath(path),
    pointer: pointerOf(path),
    line,
    message,
    remedy: remedyOf(finding),
    fixable: fix !== undefined,
  };
}
