import { Command, Option } from 'commander';
import { jsonOf } from '../report/json.ts';
import { isRefused, type Report } from '../report/report.ts';
import { textOf } from '../report/text.ts';
import { addManifestFlags, type Judged, judgeManifests, type ManifestFlags } from './shared/judge-manifests.ts';

/** `cloister check`: what is wrong with manifests, without any cluster. */
export const command: Command = addManifestFlags(
  new Command('check')
    .summary('tell what is wrong with manifests')
    .description(
      'Judges the pods in manifests as the webhook would, and tells each finding: which rule, where, and what to do. An escape keeps a ' +
        'pod from running; a promise is a hint that a grant will not be in effect. Workloads are judged by the pod in them. Nothing is changed.',
    ),
)
  .addOption(new Option('-o, --output <format>', 'how to tell it').choices(['text', 'json']).default('text'))
  .addHelpText(
    'after',
    `
Exit status: 0 no pod would be refused, 1 some pod would be refused as written, 2 the input cannot be used.

Examples:
  cloister check -f workspace.yaml
  cloister check -f manifests/ --config config.yaml --profile kata-qemu
  kubectl get deployments -n team-a -o yaml | cloister check -f - -o json
`,
  )
  .action(run);

interface Flags extends ManifestFlags {
  readonly output: 'text' | 'json';
}

async function run(flags: Flags, self: Command): Promise<void> {
  const judged = await judgeManifests(flags, process.stdin, new Date());
  if (!judged.ok) return self.error(judged.error.join('\n'), { exitCode: 2 });
  const report = reportOf(judged.value);
  process.stdout.write(flags.output === 'json' ? jsonOf(report) : textOf(report, process.stdout));
  if (report.pods.some(isRefused)) process.exitCode = 1;
}

function reportOf({ sources, judgements }: Judged): Report {
  return {
    pods: judgements.map(({ source, found, question, verdict }) => ({
      file: source.file,
      line: found.line,
      kind: found.subject.kind,
      name: found.subject.name,
      namespace: question.namespace,
      profile: question.policy.profile.id,
      grant: question.policy.grant,
      findings: verdict.findings.map((finding) => ({ ...finding, line: found.lineOf(finding.path) })),
      exempted: verdict.exempted,
    })),
    withoutPod: sources.flatMap(({ documents }) => documents).reduce((sum, { withoutPod }) => sum + withoutPod, 0),
  };
}
