import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Readable } from 'node:stream';
import { Command, Option } from 'commander';
import { parsePolicyTests } from '../config/policy-tests.ts';
import type { PolicyTest, PolicyTestFile } from '../config/test-schema.ts';
import { printable } from '../core/printable.ts';
import { err, ok, type Result } from '../core/result.ts';
import { printReadError } from '../io-errors.ts';
import { type JudgedPod, type JudgedSource, judgeSource } from '../judging/judge-source.ts';
import { outcomeOf } from '../judging/repair-source.ts';
import { filesOf } from '../manifests/files.ts';
import { printInputProblem } from '../manifests/problem.ts';
import { readText } from '../manifests/read.ts';
import { printSuites, type TestCase } from '../report/junit-xml.ts';
import { fail } from './shared/fail.ts';
import { addHelp } from './shared/help.ts';
import { judgeManifests } from './shared/judge-manifests.ts';
import { loadPolicySettings } from './shared/policy-settings.ts';

/** `cloister test`: tests of a configuration, by pods and the verdicts that they should have. */
export const command: Command = new Command('test')
  .description(
    'Runs policy tests: files of kind PolicyTest, each with a configuration, pods, and what is expected of them. Every pod of a test must have the ' +
      'verdict, a finding of each rule in `findings`, and none of a rule in `absent`. `cloister schema test` prints the schema of the files.',
  )
  .argument('<tests...>', 'files of kind PolicyTest, or folders (searched recursively; files of other kinds are left out)')
  .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'junit']).default('text'))
  .action(run);

addHelp(command, {
  exitStatus: { 0: 'every test passes', 1: 'a test fails', 2: 'a file cannot be used, or there is no test' },
  examples: ['cloister test policy/', 'cloister test policy/ -o junit > report.xml'],
});

async function run(names: readonly string[], { output }: { readonly output: string }, self: Command): Promise<void> {
  const { files, problems: unread } = filesOf(names, []);
  const problems = unread.map(printInputProblem);
  const cases: TestCase[] = [];
  for (const file of files) {
    const read = await readTests(file);
    if (!read.ok) problems.push(...read.error);
    for (const test of (read.ok && read.value?.tests) || [])
      cases.push(await runTest(file, read.ok ? read.value?.config : undefined, test));
  }
  if (cases.length === 0 && problems.length === 0)
    problems.push('there is no file of kind PolicyTest: `cloister schema test` prints its schema');
  if (cases.length > 0)
    process.stdout.write(output === 'junit' ? printSuites('cloister test', cases, performance.now() / 1_000) : printCases(cases));
  if (problems.length > 0) fail(self, problems);
  if (cases.some(({ outcome }) => outcome === 'failed')) process.exitCode = 1;
}

async function readTests(file: string): Promise<Result<PolicyTestFile | undefined, readonly string[]>> {
  try {
    return parsePolicyTests(await readFile(file, 'utf8'), file);
  } catch (error) {
    return err([printReadError(file, error as NodeJS.ErrnoException)]);
  }
}

async function runTest(file: string, config: string | undefined, test: PolicyTest): Promise<TestCase> {
  const judged = await judgeTest(file, config, test);
  const lines = judged.ok ? differencesOf(judged.value, test) : judged.error;
  const { name } = test;
  if (lines.length === 0) return { file, name, outcome: 'passed', output: [] };
  return { file, name, outcome: 'failed', type: judged.ok ? 'unexpected' : 'unusable', message: lines[0] ?? '', lines, output: [] };
}

/** The pods of a test, and how many others are not judged. */
type JudgedPods = Pick<JudgedSource, 'pods' | 'ungoverned'>;

/** Names in a file of tests are relative to it. */
async function judgeTest(file: string, config: string | undefined, test: PolicyTest): Promise<Result<JudgedPods, readonly string[]>> {
  const { profile, grant, namespace = 'default' } = test;
  const flags = {
    ...(config === undefined ? {} : { config: join(dirname(file), config) }),
    ...(profile === undefined ? {} : { profile }),
    ...(grant === undefined ? {} : { grant }),
    namespace,
    ignore: [],
  };
  const now = new Date();
  const settings = await loadPolicySettings(flags, now);
  if (!settings.ok) return settings;
  if (test.pod !== undefined) {
    const content = readText(`${file} (${test.name})`, JSON.stringify(test.pod));
    if ('source' in content) {
      const judged = judgeSource(content.source, { settings: settings.value, namespace: flags.namespace, now });
      return judged.problems.length > 0 ? err(judged.problems) : ok(judged);
    }
    return err(('problems' in content ? content.problems : [content.skipped]).map(printInputProblem));
  }
  const pods: JudgedPod[] = [];
  let ungoverned = 0;
  const context = { settings: settings.value, flags, stdin: Readable.from([]), now };
  const { problems } = await judgeManifests([join(dirname(file), test.file ?? '')], context, (judged) => {
    pods.push(...judged.pods);
    ungoverned += judged.ungoverned;
  });
  return problems.length > 0 ? err(problems) : ok({ pods, ungoverned });
}

/** What is not as expected, one per line. */
function differencesOf({ pods, ungoverned }: JudgedPods, { expect }: PolicyTest): string[] {
  if (pods.length + ungoverned === 0) return ['there is no pod to judge'];
  return [...(ungoverned === 0 ? [] : [printUngoverned(ungoverned)]), ...pods.flatMap((judged) => differencesOfPod(judged, expect))];
}

function printUngoverned(count: number): string {
  const [pods, verb] = count === 1 ? ['1 pod', 'is'] : [`${count} pods`, 'are'];
  return `${pods} ${verb} not judged, because nothing governs the namespace: set \`profile\` or another \`namespace\` in the test, or govern it in the configuration`;
}

function differencesOfPod(judged: JudgedPod, expect: PolicyTest['expect']): string[] {
  const { subject } = judged.found;
  const title = printable(`${subject.kind} ${subject.name || '(no name)'}`);
  const verdict = outcomeOf(judged);
  const found = new Set(judged.verdict.findings.map(({ rule }) => rule));
  return [
    ...(verdict === expect.verdict ? [] : [`${title} is ${verdict}, and ${expect.verdict} is expected`]),
    ...(expect.findings ?? []).filter((rule) => !found.has(rule)).map((rule) => `${title} has no finding of ${rule}`),
    ...(expect.absent ?? []).filter((rule) => found.has(rule)).map((rule) => `${title} has a finding of ${rule}`),
  ];
}

function printCases(cases: readonly TestCase[]): string {
  const lines = cases.flatMap((each) => {
    const title = `${printable(each.file, 1_000)}: ${printable(each.name)}`;
    return each.outcome === 'failed' ? [`FAIL  ${title}`, ...each.lines.map((line) => `      ${line}`)] : [`pass  ${title}`];
  });
  const failed = cases.filter(({ outcome }) => outcome === 'failed').length;
  return [
    ...lines,
    '',
    `${cases.length} ${cases.length === 1 ? 'test' : 'tests'}: ${cases.length - failed} passed, ${failed} failed`,
    '',
  ].join('\n');
}
