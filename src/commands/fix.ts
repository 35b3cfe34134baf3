import { writeFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { Command, Option } from 'commander';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { applyToCopy } from '../apply-patch.ts';
import { printPlace } from '../core/finding-text.ts';
import { escapesOf, judge } from '../core/judge.ts';
import type { PatchOp } from '../core/patch.ts';
import { pointerOf } from '../core/pointer.ts';
import { printable } from '../core/printable.ts';
import { remedyOf } from '../core/remedy.ts';
import { type Repair, repair } from '../core/repair.ts';
import { err, ok, type Result } from '../core/result.ts';
import { edit } from '../manifests/edit/edit.ts';
import { printInputProblem, readText, type Source } from '../manifests/read.ts';
import { fail } from './shared/fail.ts';
import { addHelp } from './shared/help.ts';
import { addManifestFlags, type JudgedPod, judgeManifests, type ManifestFlags, printChoices } from './shared/judge-manifests.ts';

/** `cloister fix`: fixes manifests as the webhook fixes pods, without a cluster. */
export const command: Command = addManifestFlags(
  new Command('fix')
    .summary('fix the findings in manifests')
    .description(
      'Fixes the pods in manifests as the webhook does, and prints all of the input, changed only where a finding was; comments and order ' +
        'are kept. Workloads are fixed in their pod template. A pod that a person must change is printed unchanged, and standard error says ' +
        'what to change.',
    ),
)
  .addOption(new Option('--diff', 'print the changes as a unified diff').conflicts(['output', 'write']))
  .addOption(new Option('--write', 'write the files instead of printing them').conflicts(['output']))
  .addOption(
    new Option(
      '-o, --output <format>',
      'yaml: the manifests in the format of the input, so that JSON stays JSON; json-patch: a list with the RFC 6902 operations for each object',
    )
      .choices(['yaml', 'json-patch'])
      .default('yaml'),
  )
  .action(run);

addHelp(command, {
  exitStatus: { 0: 'every pod is fixed or had no findings', 1: 'a person must change a pod', 2: 'the input cannot be used' },
  examples: [
    'cloister fix -f workspace.yaml > fixed.yaml && kubectl apply -f fixed.yaml',
    'cloister fix -f manifests/ --diff',
    'cloister fix -f manifests/ --write',
    'cloister fix -f workspace.yaml --profile kata-qemu --config config.yaml -o json-patch',
  ],
});

interface Flags extends ManifestFlags {
  readonly diff?: boolean;
  readonly write?: boolean;
  readonly output: 'yaml' | 'json-patch';
}

interface RepairedPod extends JudgedPod {
  readonly repair: Repair;
}

interface EditedSource {
  readonly source: Source;
  readonly text: string;
}

async function run(flags: Flags, self: Command): Promise<void> {
  if (flags.write && flags.filename.includes('-')) return fail(self, ['--write cannot write to standard input: name files']);
  const judged = await judgeManifests(flags, process.stdin, new Date());
  if (!judged.ok) return fail(self, judged.error);

  const repaired = judged.value.judgements.map(
    (each): RepairedPod => ({ ...each, repair: repair(each.input, each.verdict, { apply: applyToCopy, addsAnnotation: false }) }),
  );
  const edited = judged.value.sources.map((source) => editSource(source, repaired));
  const problems = edited.flatMap((each) => (each.ok ? [] : [each.error]));
  if (problems.length > 0) return fail(self, problems);
  const texts = edited.flatMap((each) => (each.ok ? [each.value] : []));

  if (flags.output === 'json-patch') process.stdout.write(printPatches(repaired));
  else if (flags.diff) process.stdout.write(texts.map(printDiff).join(''));
  else if (flags.write) {
    const unwritten = await writeFiles(texts.filter(isChanged));
    if (unwritten.length > 0) return fail(self, unwritten);
  } else process.stdout.write(printStream(texts));

  process.stderr.write(
    printChoices(repaired)
      .map((line) => `${line}\n`)
      .join(''),
  );
  const unfixed = repaired.filter(needsPerson);
  if (unfixed.length === 0) return;
  process.stderr.write(unfixed.map(printUnfixed).join(''));
  process.exitCode = 1;
}

const needsPerson = (each: RepairedPod): boolean => each.repair.unresolved.length > 0;
const isChanged = ({ source, text }: EditedSource): boolean => source.text !== text;

/** The text of a source with the fixes in it. The text is read and judged again, so that the printed text is one that was judged. */
function editSource(source: Source, all: readonly RepairedPod[]): Result<EditedSource, string> {
  const repaired = all.filter((each) => each.source === source && !needsPerson(each));
  const patches = source.documents.map((_, document) => repaired.filter((each) => each.document === document).flatMap(operationsOf));
  if (patches.every((patch) => patch.length === 0)) return ok({ source, text: source.text });

  const text = edit(source.text, patches);
  if (!text.ok) return err(`${source.file}: the file cannot be fixed in place: ${text.error}`);
  const read = readText(source.file, text.value);
  if (!read.ok) throw new Error(`the fixed text cannot be read: ${read.error.map(printInputProblem).join('; ')}`);
  for (const { document, found, input, repair } of repaired) {
    const again = read.value.documents[document]?.pods.find(({ at }) => isDeepStrictEqual(at, found.at));
    if (again === undefined || !isDeepStrictEqual(again.subject.document, repair.subject.document)) {
      throw new Error(`${source.file}:${found.line}: the value of the fixed text differs from the fixed object`);
    }
    const escapes = escapesOf(judge({ ...input, subject: again.subject }).findings);
    if (escapes.length > 0)
      throw new Error(`${source.file}:${found.line}: the fixed text still has findings of ${escapes.map(({ rule }) => rule).join(', ')}`);
  }
  return ok({ source, text: text.value });
}

/** The operations of an object, with paths from the root of its document. */
function operationsOf({ found, repair: { patch } }: RepairedPod): PatchOp[] {
  const at = pointerOf(found.at);
  return patch.map((operation) => ({ ...operation, path: at + operation.path }));
}

function printDiff({ source, text }: EditedSource): string {
  if (source.text === text) return '';
  return createTwoFilesPatch(source.file, source.file, source.text, text, undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
  });
}

/** The texts as one stream of documents. */
function printStream(texts: readonly EditedSource[]): string {
  let stream = '';
  for (const { text } of texts) {
    if (stream !== '' && !stream.endsWith('\n')) stream += '\n';
    if (stream !== '' && !/^(?:\ufeff|%|---)/.test(text)) stream += '---\n';
    stream += text;
  }
  return stream;
}

/** For `kubectl patch --type json`: paths start at the object. An object that a person must change has no operations. */
function printPatches(repaired: readonly RepairedPod[]): string {
  const patches = repaired.map((each) => ({
    file: each.source.file,
    line: each.found.line,
    kind: each.found.subject.kind,
    name: each.found.subject.name,
    namespace: each.input.namespace,
    profile: each.input.policy.profile.id,
    mode: each.choice.mode,
    grant: each.input.policy.grant,
    patch: needsPerson(each) ? [] : each.repair.patch,
  }));
  return `${JSON.stringify(patches, null, 2)}\n`;
}

/** @returns the files that could not be written, one per line with the reason */
async function writeFiles(texts: readonly EditedSource[]): Promise<string[]> {
  const outcomes = await Promise.allSettled(texts.map(({ source, text }) => writeFile(source.file, text)));
  return outcomes.flatMap((outcome, index) => {
    if (outcome.status === 'fulfilled') return [];
    return [`${texts[index]?.source.file}: cannot be written (${(outcome.reason as NodeJS.ErrnoException).code}); it is unchanged`];
  });
}

function printUnfixed({ source, found, repair: { unresolved } }: RepairedPod): string {
  const { kind, name } = found.subject;
  const lines = unresolved.map((finding) => {
    const { path, rule, message } = finding;
    return `  ${source.file}:${found.lineOf(path)}: ${rule}: ${printPlace(finding)}: ${message}; ${remedyOf(finding)}`;
  });
  return [`${source.file}: ${kind} ${name} is unchanged; fix by hand first:`, ...lines]
    .map((line) => `${printable(line, 1_000)}\n`)
    .join('');
}
