import { createHash } from 'node:crypto';
import { printPlace } from '../core/finding-text.ts';
import { printPath } from '../core/path.ts';
import { printable } from '../core/printable.ts';
import { remedyOf } from '../core/remedy.ts';
import { type CheckReport, isEnforced, type PlacedFinding, type PodReport, titleOf } from './report.ts';
import { SEVERITIES, type Severity, severityOf } from './severity.ts';

/** A finding as an entry of its own, for tools that know no pods. */
export interface ReportEntry {
  readonly pod: PodReport;
  readonly finding: PlacedFinding;
  /** An escape that no mode refuses is a warning, as a promise is. */
  readonly severity: Severity;
  /** The pod, the field, what was found and what to do, on one line. */
  readonly message: string;
  /** An id. The same finding of the same object has the same id, in any file and line. Unique in the report. */
  readonly fingerprint: string;
}

/** The findings of all pods, worst first. */
export function entriesOf({ pods }: CheckReport): ReportEntry[] {
  const seen = new Map<string, number>();
  const entries = pods.flatMap((pod) =>
    pod.findings.map((finding): ReportEntry => {
      const identity = identityOf(pod, finding);
      const uses = (seen.get(identity) ?? 0) + 1;
      seen.set(identity, uses);
      return {
        pod,
        finding,
        severity: isEnforced(pod) || finding.kind !== 'escape' ? severityOf(finding) : 'promise',
        message: `${printable(titleOf(pod))}: ${describe(finding)}`,
        fingerprint: createHash('sha256')
          .update(uses === 1 ? identity : `${identity} ${uses}`)
          .digest('hex'),
      };
    }),
  );
  const rank = ({ severity }: ReportEntry): number => SEVERITIES.indexOf(severity);
  return entries.sort((a, b) => rank(a) - rank(b));
}

/** `spec.hostPID: hostPID is true; remove it` */
export function describe(finding: PlacedFinding): string {
  return `${printPlace(finding)}: ${printable(finding.message)}; ${printable(remedyOf(finding))}`;
}

function identityOf({ kind, namespace, name }: PodReport, { rule, container = '', path }: PlacedFinding): string {
  return JSON.stringify([rule, kind, namespace, name, container, printPath(path)]);
}
