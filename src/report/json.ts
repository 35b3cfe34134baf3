import { printPath } from '../core/path.ts';
import { pointerOf } from '../core/pointer.ts';
import { remedyOf } from '../core/remedy.ts';
import { isRefused, type PlacedFinding, type PodReport, type Report } from './report.ts';

/**
 * For programs. Fields are only ever added:
 *
 * - `apiVersion`, `kind`: what this is
 * - `summary`: `pods`, of these `refused` (may not run as they stand), and `withoutPod`, the objects passed over
 * - `pods[]`: `file`, `line`, `kind`, `name`, `namespace`, `profile`, `grant`, `verdict` (`clean` or `refused`), `exempted[]` (`rule`,
 *   `value`, `reason`), and
 * - `pods[].findings[]`: `rule`, `kind` (`escape` or `promise`), `container` (where it is one's), `path` (as people write it), `pointer`
 *   (RFC 6901, from the object), `line`, `message`, `remedy`, `fixable` (whether `cloister fix` ends it)
 */
export function jsonOf(report: Report): string {
  const { pods, withoutPod } = report;
  const told = {
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'CheckReport',
    summary: { pods: pods.length, refused: pods.filter(isRefused).length, withoutPod },
    pods: pods.map(podOf),
  };
  return `${JSON.stringify(told, null, 2)}\n`;
}

function podOf(pod: PodReport): object {
  const { file, line, kind, name, namespace, profile, grant, findings, exempted } = pod;
  const verdict = isRefused(pod) ? 'refused' : 'clean';
  return { file, line, kind, name, namespace, profile, grant, verdict, findings: findings.map(findingOf), exempted };
}

function findingOf(finding: PlacedFinding): object {
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
