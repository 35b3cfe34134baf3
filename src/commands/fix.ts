import { writeFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { Command, Option } from 'commander';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { apply } from '../apply-patch.ts';
import { escapesOf, judge } from '../core/judge.ts';
import type { PatchOp } from '../core/patch.ts';
import { printPath } from '../core/path.ts';
import { pointerOf } from '../core/pointer.ts';
import { printable } from '../core/printable.ts';
import { remedyOf } from '../core/remedy.ts';
import { type Repair, repair } from '../core/repair.ts';
import type { Result } from '../core/result.ts';
import { edit } from '../manifests/edit/edit.ts';
import { printInputProblem, readText, type Source } from '../manifests/read.ts';
import { addManifestFlags, type Judgement, judgeManifests, type ManifestFlags } from './shared/judge-manifests.ts';

/** `cloister fix`: repairs manifests as the webhook repairs pods, without any cluster. */
export const command: Command = addManifestFlags(
  new Command('fix')
    .summary('repair manifests')
    .description(
      'Repairs the pods in manifests as the webhook would, and prints the outcome: all of the input, changed only where a finding was, ' +
        'comments and order kept. Workloads are repaired in their pod template. A pod that needs a decision by a person is left as it is, ' +
        'and what to decide is told on standard error.',
    ),
)
  .addOption(new Option('--diff', 'print what changes, as a unified diff').conflicts(['output', 'write']))
  .addOption(new Option('--write', 'write into the files instead of printing').conflicts(['output']))
  .addOption(
    new Option(
      '-o, --output <format>',
      'yaml: the manifests (JSON stays JSON); json-patch: a list with the RFC 6902 operations for each object',
    )
      .choices(['yaml', 'json-patch'])
      .default('yaml'),
  )
  .addHelpText(
    'after',
    `
Exit status: 0 every pod is repaired or was clean, 1 some pod needs a person, 2 the input cannot be used.

Examples:
  cloister fix -f workspace.yaml > repaired.yaml && kubectl apply -f repaired.yaml
  cloister fix -f manifests/ --diff
  cloister fix -f manifests/ --write
  cloister fix -f workspace.yaml --profile kata-qemu --config config.yaml -o json-patch
`,
  )
  .action(run);

interface Flags extends ManifestFlags {
  readonly diff?: boolean;
  readonly write?: boolean;
  readonly output: 'yaml' | 'json-patch';
}

interface Repaired extends Judgement {
  readonly repair: Repair;
}

interface Edited {
  readonly source: Source;
  readonly text: string;
}

async function run(flags: Flags, self: Command): Promise<void> {
  if (flags.write && flags.filename.includes('-'))
    return self.error('--write: standard input cannot be written to; name files', { exitCode: 2 });
  const judged = await judgeManifests(flags, process.stdin, new Date());
  if (!judged.ok) return self.error(judged.error.join('\n'), { exitCode: 2 });

  const repaired = judged.value.judgements.map(
    (each): Repaired => ({ ...each, repair: repair(each.question, each.verdict, apply, false) }),
  );
  const edited = judged.value.sources.map((source) => editSource(source, repaired));
  const problems = edited.flatMap((each) => (each.ok ? [] : [each.error]));
  if (problems.length > 0) return self.error(problems.join('\n'), { exitCode: 2 });
  const texts = edited.flatMap((each) => (each.ok ? [each.value] : []));

  if (flags.output === 'json-patch') process.stdout.write(patchesOf(repaired));
  else if (flags.diff) process.stdout.write(texts.map(diffOf).join(''));
  else if (flags.write) {
    const unwritten = await written(texts.filter(isChanged));
    if (unwritten.length > 0) return self.error(unwritten.join('\n'), { exitCode: 2 });
  } else process.stdout.write(streamOf(texts));

  const left = repaired.filter(needsPerson);
  if (left.length === 0) return;
  process.stderr.write(left.map(tellLeft).join(''));
  process.exitCode = 1;
}

const needsPerson = (each: Repaired): boolean => each.repair.unresolved.length > 0;
const isChanged = ({ source, text }: Edited): boolean => source.text !== text;

/** The text of a source with the repairs in it, read and judged once more: what is printed is what was judged. */
function editSource(source: Source, all: readonly Repaired[]): Result<Edited, string> {
  const repaired = all.filter((each) => each.source === source && !needsPerson(each));
  const patches = source.documents.map((_, document) => repaired.filter((each) => each.document === document).flatMap(fromDocument));
  if (patches.every((patch) => patch.length === 0)) return { ok: true, value: { source, text: source.text } };

  const text = edit(source.text, patches);
  if (!text.ok) return { ok: false, error: `${source.file}: this cannot be repaired in place: ${text.error}` };
  const read = readText(source.file, text.value);
  if (!read.ok) throw new Error(`the repaired text cannot be read: ${read.error.map(printInputProblem).join('; ')}`);
  for (const { document, found, question } of repaired) {
    const again = read.value.documents[document]?.pods.find(({ at }) => isDeepStrictEqual(at, found.at));
    // The question's own document is the repaired one by now.
    if (again === undefined || !isDeepStrictEqual(again.subject.document, found.subject.document)) {
      throw new Error(`${source.file}:${found.line}: the repaired text does not say what the repaired object says`);
    }
    const escapes = escapesOf(judge({ ...question, subject: again.subject }).findings);
    if (escapes.length > 0)
      throw new Error(`${source.file}:${found.line}: the repaired text is still refused by ${escapes.map(({ rule }) => rule).join(', ')}`);
  }
  return { ok: true, value: { source, text: text.value } };
}

/** The operations of an object, as ones of the document that holds it. */
function fromDocument({ found, repair: { patch } }: Repaired): PatchOp[] {
  const at = pointerOf(found.at);
  return patch.map((operation) => ({ ...operation, path: at + operation.path }));
}

function diffOf({ source, text }: Edited): string {
  if (source.text === text) return '';
  return createTwoFilesPatch(source.file, source.file, source.text, text, undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
  });
}

/** Several files become one stream of documents. */
function streamOf(texts: readonly Edited[]): string {
  let stream = '';
  for (const { text } of texts) {
    if (stream !== '' && !stream.endsWith('\n')) stream += '\n';
    if (stream !== '' && !/^(?:\ufeff|%|---)/.test(text)) stream += '---\n';
    stream += text;
  }
  return stream;
}

/** For `kubectl patch --type json`: paths are the object's. What needs a person has none. */
function patchesOf(repaired: readonly Repaired[]): string {
  const told = repaired.map((each) => ({
    file: each.source.file,
    line: each.found.line,
    kind: each.found.subject.kind,
    name: each.found.subject.name,
    namespace: each.question.namespace,
    profile: each.question.policy.profile.id,
    grant: each.question.policy.grant,
    patch: needsPerson(each) ? [] : each.repair.patch,
  }));
  return `${JSON.stringify(told, null, 2)}\n`;
}

/** @returns what could not be written, and why, a line each */
async function written(texts: readonly Edited[]): Promise<string[]> {
  const outcomes = await Promise.allSettled(texts.map(({ source, text }) => writeFile(source.file, text)));
  return outcomes.flatMap((outcome, index) => {
    if (outcome.status === 'fulfilled') return [];
    return [`${texts[index]?.source.file}: cannot be written (${(outcome.reason as NodeJS.ErrnoException).code}); it is as it was`];
  });
}

function tellLeft({ source, found, repair: { unresolved } }: Repaired): string {
  const { kind, name } = found.subject;
  const lines = unresolved.map((finding) => {
    const where = `${printPath(finding.path)}${finding.container === undefined ? '' : ` (container ${finding.container})`}`;
    return `  ${source.file}:${found.lineOf(finding.path)}: ${finding.rule}: ${where}: ${finding.message}; ${remedyOf(finding)}`;
  });
  return [`${source.file}: ${kind} ${name} is left as it is; change this first:`, ...lines]
    .map((line) => `${printable(line, 1_000)}\n`)
    .join('');
}
