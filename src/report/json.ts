import { printPath } from '../core/path.ts';
import { pointerOf } from '../core/pointer.ts';
import { remedyOf } from '../core/remedy.ts';
import type { Finding } from '../core/rules/rule.ts';
import { type CheckReport, countVerdicts, type PlacedFinding, type PodReport } from './report.ts';

/**
 * The report for programs. Later versions only add fields:
 *
 * - `apiVersion`, `kind`: the type of the document
 * - `summary`: number of `pods`; of the pods in namespaces that enforce which are `clean`, `repairable` and `refused`; of pods `ungoverned` because
 *   nothing governs their namespace; of objects `withoutPod`; of objects that are `unjudged`; of files that are `skipped` and `ignored`
 * - `pods[]`: `file`, `line`, `column`, `endLine`, `endColumn`, `kind`, `name`, `namespace`, `profile`, `mode`, `grant`,
 *   `chosenBy[]` (what chose profile and grant), `verdict` (`clean`, `repairable` or `refused`: what enforcing does), `exempted[]` (`rule`, `value`, `reason`),
 *   `unattributed[]` (paths that are not judged, because nothing proves that the author wrote them; absent if there are none), and
 * - `pods[].findings[]`: `rule`, `kind` (`escape`, `promise` or `unknown`), `container` (if the finding is in one), `path` (`spec.hostPID`), `pointer`
 *   (RFC 6901, from the object), `line`, `column`, `endLine`, `endColumn`, `message`, `remedy`, `fixable` (whether `cloister fix` fixes it)
 * - `unjudged[]`: objects that may have a pod: `file`, `line`, `column`, `endLine`, `endColumn`, `kind`, `name`, `reason`
 * - `skipped[]`: files that are no manifests: `file`, `line` and `column` (if there is a place), `message`, `remedy`, and `isRest`, true if the documents above
 *   the place are judged
 */
export function printJson(report: CheckReport): string {
  const { pods, unjudged, skipped, ungoverned, withoutPod, ignored } = report;
  const document = {
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'CheckReport',
    summary: {
      pods: pods.length,
      ...countVerdicts(pods),
      ungoverned,
      withoutPod,
      unjudged: unjudged.length,
      skipped: skipped.length,
      ignored,
    },
    pods: pods.map(podFieldsOf),
    unjudged,
    skipped,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function podFieldsOf({ findings, ...pod }: PodReport): object {
  return { ...pod, findings: findings.map(findingFieldsOf) };
}

function findingFieldsOf(finding: PlacedFinding): object {
  const { line, column, endLine, endColumn } = finding;
  return { ...placeFieldsOf(finding), line, column, endLine, endColumn, ...adviceFieldsOf(finding) };
}

/** The rule, and where its finding is in the object. */
export function placeFieldsOf({ rule, kind, container, path }: Finding): object {
  return { rule, kind, ...(container === undefined ? {} : { container }), path: printPath(path), pointer: pointerOf(path) };
}

/** What was found, and what to do. */
export function adviceFieldsOf(finding: Finding): object {
  return { message: finding.message, remedy: remedyOf(finding), fixable: finding.fix !== undefined };
}
