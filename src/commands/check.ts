import { Command, Option } from 'commander';
import { printJson } from '../report/json.ts';
import { type CheckReport, isDenied } from '../report/report.ts';
import { printText } from '../report/text.ts';
import { fail } from './shared/fail.ts';
import { addHelp } from './shared/help.ts';
import { addManifestFlags, type JudgedManifests, judgeManifests, type ManifestFlags, printChoices } from './shared/judge-manifests.ts';

/** `cloister check`: the findings in manifests, without a cluster. */
export const command: Command = addManifestFlags(
  new Command('check')
    .summary('list the findings in manifests')
    .description(
      'Judges the pods in manifests as the webhook does, and prints each finding: the rule, the place, and what to do. A finding is an escape, ' +
        'for which the pod is refused; a promise, which warns that the grant will not have its full effect; or an unknown field, which no rule judges. ' +
        'Workloads are judged by their pod template. A pod in a namespace that only warns or audits is never denied. Nothing is changed.',
    ),
)
  .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
  .action(run);

addHelp(command, {
  exitStatus: { 0: 'no pod would be denied', 1: 'a pod would be denied as written', 2: 'the input cannot be used' },
  examples: [
    'cloister check -f workspace.yaml',
    'cloister check -f manifests/ --config config.yaml --profile kata-qemu',
    'kubectl get deployments -n team-a -o yaml | cloister check -f - -o json',
  ],
});

interface Flags extends ManifestFlags {
  readonly output: 'text' | 'json';
}

async function run(flags: Flags, self: Command): Promise<void> {
  const judged = await judgeManifests(flags, process.stdin, new Date());
  if (!judged.ok) return fail(self, judged.error);
  const report = makeReport(judged.value);
  process.stderr.write(printUnjudged(judged.value));
  process.stdout.write(flags.output === 'json' ? printJson(report) : printText(report, process.stdout));
  if (report.pods.some(isDenied)) process.exitCode = 1;
}

/** A note about pods that were read from a cluster: kubectl hides who wrote their fields. */
function printUnjudged({ judgements }: JudgedManifests): string {
  const count = judgements.filter(({ found }) => found.unjudged.length > 0).length;
  if (count === 0) return '';
  const pods = count === 1 ? '1 pod was' : `${count} pods were`;
  return `${pods} read from a cluster without managedFields, which show whether the author or the scheduler wrote nodeName: it is not judged. Read them by \`kubectl get --show-managed-fields\`.\n`;
}

function makeReport({ sources, judgements, notJudged }: JudgedManifests): CheckReport {
  return {
    pods: judgements.map(({ source, found, choice, input, verdict }) => ({
      file: source.file,
      line: found.line,
      kind: found.subject.kind,
      name: found.subject.name,
      namespace: input.namespace,
      profile: input.policy.profile.id,
      mode: choice.mode,
      because: choice.because,
      grant: input.policy.grant,
      findings: verdict.findings.map((finding) => ({ ...finding, line: found.lineOf(finding.path) })),
      exempted: verdict.exempted,
    })),
    choices: printChoices(judgements),
    notJudged,
    withoutPod: sources.flatMap(({ documents }) => documents).reduce((sum, { withoutPod }) => sum + withoutPod, 0),
  };
}
