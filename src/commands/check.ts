import { readFileSync } from 'node:fs';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Command, Option } from 'commander';
import { reportOf, unjudgedOf } from '../judging/pod-report.ts';
import { STDIN } from '../manifests/files.ts';
import { FILE_FORMATS, formats } from '../report/formats.ts';
import {
  type CheckReport,
  FAIL_ON,
  type FailOn,
  failsBy,
  isFailing,
  isUnattributed,
  type PodReport,
  type UnjudgedReport,
} from '../report/report.ts';
import { printFindings } from '../report/text.ts';
import { fail } from './shared/fail.ts';
import { addHelp } from './shared/help.ts';
import { judgeManifests } from './shared/judge-manifests.ts';
import { addManifestFlags, type ManifestFlags, NO_FILES, namesOf } from './shared/manifest-flags.ts';
import { loadPolicySettings } from './shared/policy-settings.ts';
import { sources, version } from './shared/version.ts';

/** `cloister check`: the findings in manifests, without a cluster. */
export const command: Command = addManifestFlags(
  new Command('check').description(
    'Judges the pods in manifests as the webhook does, and prints each finding: its place, the rule, and what to do. The verdict of a pod is what ' +
      'enforcing does with it: clean (the pod is admitted unchanged), repairable (it is repaired and admitted) or refused (its author must change it). A finding is an ' +
      'escape, which a pod must not have; a promise, which warns that the grant does not have its full effect; or an unknown field, which no ' +
      'rule judges. Workloads are judged by their pod template, and custom resources by their parts that have the shape of a pod. A pod in a namespace that only ' +
      'warns or audits is never refused. The command changes no file.',
  ),
)
  .addOption(
    new Option('-o, --output <format>', 'output format; the exit status does not depend on it')
      .choices([...formats.keys()])
      .default('text'),
  )
  .option(
    '--root <folder>',
    'folder to which file names in the formats sarif, junit, github and gitlab are relative: set it to the root of the repository',
    '.',
  )
  .option('--category <name>', 'with -o sarif: name of this report, if a commit has several reports')
  .addOption(
    new Option(
      '--fail-on <verdict>',
      'when to exit with 1. refused: a pod is refused; repairable: a pod is refused or repairable; promise: the same, or a pod has a promise finding that no ' +
        'repair fixes; unjudged: a pod is refused, or an object that may have a pod is not judged; never: in no case',
    )
      .choices(FAIL_ON)
      .default('refused'),
  )
  .action(run);

addHelp(command, {
  exitStatus: {
    0: 'nothing that --fail-on names was found',
    1: 'something that --fail-on names was found: by default, a pod that is refused',
    2: 'a flag or a file cannot be used, or the input has no Kubernetes object; the other files are judged and printed',
  },
  examples: [
    'cloister check workspace.yaml deploy/',
    'cloister check manifests/ --config config.yaml --profile kata-qemu --fail-on repairable',
    'helm template charts/workspace | cloister check -',
    'kubectl get deployments -n team-a -o yaml | cloister check - -o json',
    'cloister check deploy/ -o sarif > cloister.sarif',
  ],
});

interface Flags extends ManifestFlags {
  readonly output: string;
  readonly root: string;
  readonly category?: string;
  readonly failOn: FailOn;
}

async function run(manifests: readonly string[], flags: Flags, self: Command): Promise<void> {
  const names = namesOf(manifests, flags);
  if (names.length === 0) return fail(self, [NO_FILES]);
  if (FILE_FORMATS.has(flags.output) && names.includes(STDIN)) {
    return fail(self, [`-o ${flags.output} shows findings in files, and standard input is no file: name files, or use another format`]);
  }
  if (flags.category !== undefined && flags.output !== 'sarif') return fail(self, ['--category has no effect without -o sarif']);
  const now = new Date();
  const settings = await loadPolicySettings(flags, now);
  if (!settings.ok) return fail(self, settings.error);

  const pods: PodReport[] = [];
  const unjudged: UnjudgedReport[] = [];
  let withoutPod = 0;
  let ungoverned = 0;
  const { ignored, skipped, problems, objects } = await judgeManifests(
    names,
    { settings: settings.value, flags, stdin: process.stdin, now },
    ({ source, pods: judged, ungoverned: left }) => {
      pods.push(...judged.map(reportOf));
      ungoverned += left;
      unjudged.push(...unjudgedOf(source));
      for (const document of source.documents) withoutPod += document.withoutPod;
    },
  );
  const report = { pods, unjudged, skipped, ungoverned, withoutPod, ignored };
  if (!flags.quiet) process.stderr.write(noteUnattributed(pods));
  if (objects > 0 || problems.length === 0) process.stdout.write(print(report, flags));
  if (problems.length > 0) return fail(self, problems);
  if (failsBy(report, flags.failOn)) process.exitCode = 1;
}

/** A note about fields of pods that are not judged because others than the author may have written them. */
function noteUnattributed(pods: readonly PodReport[]): string {
  const count = pods.filter(isUnattributed).length;
  if (count === 0) return '';
  const subject = count === 1 ? '1 pod has' : `${count} pods have`;
  return `${subject} a uid and a status, as the API server stores it: nodeName, and the addresses that a network plugin reports, are not judged, because input does not prove who wrote them. Remove the status to judge them, or set --fail-on unjudged. What managedFields show as the author's (\`kubectl get --show-managed-fields\`) is judged.\n`;
}

function print(report: CheckReport, { output, quiet, failOn, root, category }: Flags): string {
  if (quiet && output === 'text')
    return printFindings(
      report.pods.filter((pod) => isFailing(pod, failOn)),
      process.stdout,
    );
  const format = formats.get(output);
  if (format === undefined) throw new Error(`there is no format ${output}`);
  const placed = output === 'text' || output === 'json' ? report : withFilesBelow(report, root);
  return format(placed, {
    stream: process.stdout,
    version: version(),
    sources: sources(),
    category,
    seconds: performance.now() / 1_000,
    helpOf: readHelp,
  });
}

/** The report with file names that start at a folder, with slashes. A file outside of the folder has its whole path. */
function withFilesBelow(report: CheckReport, root: string): CheckReport {
  const place = <T extends { readonly file: string }>(each: T): T => {
    const below = relative(root, resolve(each.file));
    const isOutside = below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below);
    const file = each.file === STDIN ? STDIN : isOutside ? resolve(each.file) : below;
    return { ...each, file: file.split(sep).join('/') };
  };
  return { ...report, pods: report.pods.map(place), unjudged: report.unjudged.map(place), skipped: report.skipped.map(place) };
}

/** The page of a rule without its links, which lead to other pages. The path is the same from src/commands and from dist/commands. */
function readHelp(rule: string): string {
  const page = readFileSync(new URL(`../../docs/rules/${rule}.md`, import.meta.url), 'utf8');
  return page.replace(/\[([^\]]+)\]\((?!https?:)[^)]*\)/g, '$1');
}
