import { statSync } from 'node:fs';
import { Command, Option } from 'commander';
import { printable } from '../core/printable.ts';
import {
  type EditedSource,
  editSource,
  type FixedPod,
  needsPerson,
  patchOf,
  printDiff,
  printUnfixed,
  repairJudged,
} from '../judging/fix-source.ts';
import { STDIN } from '../manifests/files.ts';
import { printInputProblem } from '../manifests/problem.ts';
import { replaceFile } from '../manifests/write.ts';
import { fail } from './shared/fail.ts';
import { addHelp } from './shared/help.ts';
import { judgeManifests } from './shared/judge-manifests.ts';
import { addManifestFlags, type ManifestFlags, NO_FILES, namesOf } from './shared/manifest-flags.ts';
import { loadPolicySettings } from './shared/policy-settings.ts';

/** `cloister fix`: fixes manifests as the webhook fixes pods, without a cluster. */
export const command: Command = addManifestFlags(
  new Command('fix').description(
    'Fixes the pods in manifests as the webhook does, and prints all of the input, changed only where a finding was; comments and order ' +
      'are kept. Workloads are fixed in their pod template. A pod that a person must change is printed unchanged, and standard error says ' +
      'what to change.',
  ),
)
  .addOption(new Option('--diff', 'print the changes as a unified diff').conflicts(['output', 'write']))
  .addOption(new Option('--write', 'write the files instead of printing them, and print a line for each').conflicts(['output']))
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
  exitStatus: {
    0: 'every pod is fixed or had no findings',
    1: 'a person must change a pod',
    2: 'a flag or a file cannot be used, or the input has no Kubernetes object; the other files are fixed',
  },
  examples: [
    'cloister fix workspace.yaml > fixed.yaml && kubectl apply -f fixed.yaml',
    'cloister fix manifests/ --diff',
    'cloister fix manifests/ --write',
    'cloister fix workspace.yaml --profile kata-qemu --config config.yaml -o json-patch',
  ],
});

interface Flags extends ManifestFlags {
  readonly diff?: boolean;
  readonly write?: boolean;
  readonly output: 'yaml' | 'json-patch';
}

async function run(manifests: readonly string[], flags: Flags, self: Command): Promise<void> {
  const names = namesOf(manifests, flags);
  if (names.length === 0) return fail(self, [NO_FILES]);
  const unwritable = flags.write ? names.filter(isStream) : [];
  if (unwritable.length > 0)
    return fail(
      self,
      unwritable.map((name) => `--write cannot write to ${printStream(name)}: name files`),
    );
  const now = new Date();
  const settings = await loadPolicySettings(flags, now);
  if (!settings.ok) return fail(self, settings.error);

  const output = outputOf(flags);
  const unfixed: string[] = [];
  const failures: string[] = [];
  const { skipped, problems, choices } = await judgeManifests(
    names,
    { settings: settings.value, flags, stdin: process.stdin, now },
    async (judged) => {
      const repaired = judged.pods.map(repairJudged);
      const edited = editSource(judged, repaired);
      if (!edited.ok) failures.push(edited.error);
      // A file that cannot be fixed is printed unchanged, so that a stream has all its documents.
      const failure = await output.add(edited.ok ? edited.value : { source: judged.source, text: judged.source.text }, repaired);
      if (failure !== undefined) failures.push(failure);
      unfixed.push(...repaired.filter(needsPerson).map(printUnfixed));
    },
  );
  if (problems.length === 0 || unfixed.length > 0) output.end();
  const notes = [
    ...skipped.map(
      (each) => `${printable(printInputProblem(each), 1_000)}; ${each.isRest ? 'the rest of the file' : 'the file'} is skipped`,
    ),
    ...choices,
  ];
  process.stderr.write([...(flags.quiet ? [] : notes.map((line) => `${line}\n`)), ...unfixed].join(''));
  if (problems.length + failures.length > 0) return fail(self, [...problems, ...failures]);
  if (unfixed.length > 0) process.exitCode = 1;
}

/** Whether a name is standard input, or names a pipe or a device. */
function isStream(name: string): boolean {
  if (name === STDIN) return true;
  const found = statSync(name, { throwIfNoEntry: false });
  return found !== undefined && !found.isFile() && !found.isDirectory();
}

const printStream = (name: string): string =>
  name === STDIN ? 'standard input' : `${printable(name, 1_000)}, which is a pipe or a device`;

/** Prints or writes what is fixed, file by file. */
interface Output {
  /** @returns what went wrong */
  add(edited: EditedSource, repaired: readonly FixedPod[]): string | undefined | Promise<string | undefined>;
  end(): void;
}

const nothing = (): void => {};

function outputOf({ output, diff, write, quiet }: Flags): Output {
  if (output === 'json-patch') return patchOutput();
  if (diff) return { add: (edited) => void process.stdout.write(printDiff(edited)), end: nothing };
  return write ? { add: (edited) => writeSource(edited, { isQuiet: quiet === true }), end: nothing } : streamOutput();
}

/** For `kubectl patch --type json`: paths start at the object. An object that a person must change has no operations. */
function patchOutput(): Output {
  const patches: object[] = [];
  return {
    add(_, repaired) {
      for (const each of repaired) patches.push(patchOf(each));
      return undefined;
    },
    end: () => void process.stdout.write(`${JSON.stringify(patches, null, 2)}\n`),
  };
}

/** The texts as one stream of documents. */
function streamOutput(): Output {
  let isFirst = true;
  let endsLine = true;
  return {
    add({ text }) {
      const separator = isFirst || /^(?:\ufeff|%|---)/.test(text) ? '' : '---\n';
      process.stdout.write(`${endsLine ? '' : '\n'}${separator}${text}`);
      isFirst &&= text === '';
      if (text !== '') endsLine = text.endsWith('\n');
      return undefined;
    },
    end: nothing,
  };
}

/** Prints a line for a file that changes. */
async function writeSource(
  { source: { file, text: old }, text }: EditedSource,
  { isQuiet }: { readonly isQuiet: boolean },
): Promise<string | undefined> {
  if (text === old) return undefined;
  try {
    const refused = await replaceFile(file, text);
    if (refused !== undefined) return `${file}: ${refused}`;
  } catch (error) {
    return `${file}: cannot be written (${(error as NodeJS.ErrnoException).code}); it is unchanged`;
  }
  if (!isQuiet) process.stdout.write(`${printable(file, 1_000)}: fixed\n`);
  return undefined;
}
