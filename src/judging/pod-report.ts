import { type Path, printPath } from '../core/path.ts';
import type { Finding } from '../core/rules/rule.ts';
import type { FoundPod, Source } from '../manifests/read.ts';
import type { PlacedFinding, PodReport, UnjudgedReport } from '../report/report.ts';
import type { JudgedPod } from './judge-source.ts';
import { outcomeOf } from './repair-source.ts';

/** A judged pod as `cloister check` reports it. */
export function reportOf(judged: JudgedPod): PodReport {
  const { source, found, choice, input, verdict } = judged;
  return {
    file: source.file,
    ...found.headRange(),
    kind: found.subject.kind,
    name: found.subject.name,
    namespace: input.namespace,
    profile: input.policy.profile.id,
    mode: choice.mode,
    grant: input.policy.grant,
    chosenBy: choice.chosenBy,
    verdict: outcomeOf(judged),
    findings: verdict.findings.map((finding) => place(finding, found)),
    exempted: verdict.exempted,
    ...(found.unattributed.length === 0 ? {} : { unattributed: found.unattributed.map((path) => printPath(found.pathOf(path))) }),
  };
}

function place({ also, ...finding }: Finding, { rangeOf, pathOf }: FoundPod): PlacedFinding {
  const at = (path: Path) => ({ ...rangeOf(path), path: pathOf(path) });
  return { ...finding, ...at(finding.path), ...(also && { also, related: also.map(({ path }) => at(path)) }) };
}

/** The objects of a source that may have a pod and are not judged. */
export function unjudgedOf({ file, documents }: Source): UnjudgedReport[] {
  return documents.flatMap(({ unjudged }) => unjudged.map(({ range, ...object }) => ({ file, ...range, ...object })));
}
