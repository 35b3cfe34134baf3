import { defaultConfig, readConfig } from '../../src/config/parse.ts';
import { printPlace } from '../../src/core/finding-text.ts';
import { printable } from '../../src/core/printable.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { remedyOf } from '../../src/core/remedy.ts';
import type { Mode } from '../../src/core/request-record.ts';
import type { Grant } from '../../src/core/requirements.ts';
import { ok, type Result } from '../../src/core/result.ts';
import { ruleById } from '../../src/core/rules/index.ts';
import { editSource, patchOf, printDiff, repairJudged } from '../../src/judging/fix-source.ts';
import { type JudgedPod, judgeSource } from '../../src/judging/judge-source.ts';
import { reportOf, unjudgedOf } from '../../src/judging/pod-report.ts';
import { DEFAULTS, type KnownConfiguration, settingsOf } from '../../src/judging/settings.ts';
import { type InputProblem, printInputProblem } from '../../src/manifests/problem.ts';
import { readText, type SkippedInput, type Source } from '../../src/manifests/read.ts';
import { printJson } from '../../src/report/json.ts';
import { type PodReport, titleOf } from '../../src/report/report.ts';
import { type AuthorView, authorViewOf } from './author-view.ts';

/** What the page judges. Its fields are those of the page's link. */
export interface JudgeRequest {
  /** Name of the manifest in the report. */
  readonly file: string;
  readonly text: string;
  /** Text of the configuration; '': none. */
  readonly config: string;
  /** As `--profile`; '': labels and configuration choose the profile. */
  readonly profile: string;
  /** As `--grant`; '': the grant of the profile. */
  readonly grant: Grant | '';
  /** The mode of the webhook entries, where `profile` is set. */
  readonly mode: Mode;
}

/** What the page shows. Everything in it is text: nothing is markup. */
export interface JudgeReply {
  /** Why the text is not judged, or not completely. The place is that of the manifest, if there is one. */
  readonly problems: readonly PlacedText[];
  readonly pods: readonly ShownPod[];
  /** What `cloister check -o json` prints; undefined: nothing. */
  readonly check?: string;
  /** What `cloister fix` prints. */
  readonly fixed?: string;
  /** What `cloister fix --diff` prints. */
  readonly diff?: string;
  /** What `cloister fix -o json-patch` prints. */
  readonly patch?: string;
  /** The profiles that may be chosen. */
  readonly profiles: readonly string[];
}

export interface PlacedText {
  readonly text: string;
  readonly line?: number | undefined;
}

export interface ShownPod {
  readonly title: string;
  readonly line: number;
  readonly verdict: PodReport['verdict'];
  readonly profile: string;
  readonly grant: Grant;
  readonly mode: Mode;
  readonly findings: readonly ShownFinding[];
  readonly author: AuthorView;
}

export interface ShownFinding {
  readonly rule: string;
  /** What holds when the rule is kept. */
  readonly summary: string;
  readonly kind: string;
  readonly isFixable: boolean;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
  /** The field, and the container that has it. */
  readonly place: string;
  readonly message: string;
  readonly remedy: string;
}

/** The name of the configuration in messages and in the report. */
export const CONFIG_FILE = 'config.yaml';

/** As the flag `--namespace`. */
const NAMESPACE = 'default';

/** Judges a text as `cloister check` and `cloister fix` judge a file. Never throws for what the text contains. */
export function judgeText(request: JudgeRequest, now: Date): JudgeReply {
  const known = configurationOf(request.config, now);
  if (!known.ok) return { problems: known.error.map((text) => ({ text })), pods: [], profiles: BUILT_IN };
  const profiles = known.value.isDefault ? BUILT_IN : [...known.value.config.profiles.keys()];
  const { profile, grant } = request;
  const settings = settingsOf(known.value, { ...(profile !== '' && { profile }), ...(grant !== '' && { grant }) });
  if (!settings.ok) return { problems: settings.error.map((text) => ({ text })), pods: [], profiles };

  const content = readText(request.file, request.text);
  if ('problems' in content) return { problems: content.problems.map(placed), pods: [], profiles };
  const skipped = content.skipped === undefined ? [] : [content.skipped];
  if (!('source' in content)) return { problems: skipped.map(placed), pods: [], profiles };
  const { source } = content;
  if (objectsIn(source) === 0)
    return { problems: [{ text: 'the text has no Kubernetes object: write one, or choose an example' }], pods: [], profiles };

  const labelsOf = new Map(source.documents.flatMap(({ namespaces }) => namespaces.map(({ name, labels }) => [name, labels] as const)));
  const judged = judgeSource(source, { settings: settings.value, namespace: NAMESPACE, now, labelsOf });
  if (judged.problems.length > 0) return { problems: judged.problems.map((text) => ({ text })), pods: [], profiles };

  const reports = judged.pods.map(reportOf);
  const fixes = judged.pods.map(repairJudged);
  const edited = editSource(judged, fixes);
  const fixed = edited.ok ? edited.value.text : source.text;
  const mode = (pod: JudgedPod): Mode => (profile === '' ? pod.choice.mode : request.mode);
  return {
    problems: [
      ...skipped.map(placed),
      ...unjudgedOf(source).map((each) => ({ text: printable(`${titleOf(each)} is not judged: ${each.reason}`), line: each.line })),
      ...(edited.ok ? [] : [{ text: edited.error }]),
    ],
    pods: judged.pods.map((pod, index) => {
      const report = reports[index] as PodReport;
      return { ...shown(report), mode: mode(pod), author: authorViewOf(pod, { settings: settings.value, mode: mode(pod), now }) };
    }),
    check: printCheck(source, { reports, skipped, ungoverned: judged.ungoverned }),
    fixed,
    diff: printDiff({ source, text: fixed }),
    patch: `${JSON.stringify(fixes.map(patchOf), null, 2)}\n`,
    profiles,
  };
}

const BUILT_IN: readonly string[] = backends.map(({ id }) => id);

function configurationOf(text: string, now: Date): Result<KnownConfiguration, readonly string[]> {
  if (text.trim() === '') return ok({ config: defaultConfig(), origin: DEFAULTS, isDefault: true, ownNamespace: undefined });
  const config = readConfig(text, CONFIG_FILE, now);
  return config.ok ? ok({ config: config.value, origin: CONFIG_FILE, isDefault: false, ownNamespace: undefined }) : config;
}

const placed = (problem: InputProblem): PlacedText => ({ text: printable(printInputProblem(problem), 1_000), line: problem.line });

const objectsIn = ({ documents }: Source): number =>
  documents.reduce((sum, { pods, unjudged, withoutPod }) => sum + pods.length + unjudged.length + withoutPod, 0);

function printCheck(
  source: Source,
  {
    reports,
    skipped,
    ungoverned,
  }: { readonly reports: readonly PodReport[]; readonly skipped: readonly SkippedInput[]; readonly ungoverned: number },
): string {
  const withoutPod = source.documents.reduce((sum, document) => sum + document.withoutPod, 0);
  return printJson({ pods: reports, unjudged: unjudgedOf(source), skipped, ungoverned, withoutPod, ignored: 0 });
}

function shown(report: PodReport): Omit<ShownPod, 'author'> {
  const { line, verdict, profile, mode, grant } = report;
  return {
    title: printable(titleOf(report)),
    line,
    verdict,
    profile,
    mode,
    grant: grant as Grant,
    findings: report.findings.map((finding) => ({
      rule: finding.rule,
      summary: ruleById.get(finding.rule)?.summary ?? '',
      kind: finding.kind,
      isFixable: finding.fix !== undefined,
      line: finding.line,
      column: finding.column,
      endLine: finding.endLine,
      endColumn: finding.endColumn,
      place: printPlace(finding),
      message: printable(finding.message),
      remedy: printable(remedyOf(finding)),
    })),
  };
}
