import { existsSync, globSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { Stryker } from '@stryker-mutator/core';
import { readArguments } from './shared/arguments.ts';

/**
 * `./dev mutation [FILE...]`: mutation testing. It changes the code of src/core, or of the named files, one place at a time, in a copy of the tree,
 * and prints the mutants that no test kills, and how many of all were killed.
 *
 * The results stay in reports/mutation.json, also after Ctrl-C. The next run tries the mutants without a result, the survivors if any file has
 * changed since, and the killed ones in changed code or with a changed test. Other changes may matter too: delete the file to try all mutants.
 *
 * A survivor is not always a missing test: some mutants behave like the original. All tests must pass beforehand.
 */
const REPORT = 'reports/mutation.json';
const COPIES = '.stryker-tmp';
const MIN_KILLED = 0.95;

process.env.CLOISTER_PROPERTY_RUNS ??= '200';
// The same cases for every mutant, so that survival does not depend on chance.
process.env.CLOISTER_PROPERTY_SEED ??= '1';

const files = readArguments('usage: ./dev mutation [FILE...]', { most: Number.POSITIVE_INFINITY });
if (existsSync(REPORT) && hasChangedSince(REPORT)) forgetSurvivors();
// An interrupted run leaves its copies.
rmSync(COPIES, { recursive: true, force: true });

const results = await new Stryker({
  // The list of harmless fields is for a test only, and only an API server evaluates CEL.
  mutate: files.length > 0 ? [...files] : ['src/core/**/*.ts', '!src/core/unjudged-fields.ts', '!src/core/cel.ts', '!src/core/in-tree.ts'],
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner', './tools/vitest/ignore-cel.ts'],
  ignorers: ['cel'],
  vitest: { configFile: 'tools/vitest/mutation-config.ts', related: false },
  coverageAnalysis: 'perTest',
  incremental: true,
  incrementalFile: REPORT,
  tempDirName: COPIES,
  cleanTempDir: 'always',
  concurrency: 2,
  // Long enough for a slow test on a busy machine.
  timeoutMS: 60_000,
  dryRunTimeoutMinutes: 60,
  // A file that does not exist: Stryker would rewrite the real one through a JavaScript API that TypeScript 7 lacks.
  tsconfigFile: 'no-tsconfig.json',
  reporters: ['progress-append-only'],
}).runMutationTest();

const tried = results.filter(({ status }) => status !== 'Ignored');
const survivors = tried.filter(isSurvivor);
for (const { fileName, location, mutatorName, replacement } of survivors) {
  process.stdout.write(`${relative('.', fileName)}:${location.start.line} ${mutatorName}: ${replacement.replace(/\s+/g, ' ')}\n`);
}
for (const [folder, all] of Map.groupBy(tried, ({ fileName }) => dirname(relative('.', fileName)))) {
  process.stdout.write(`${folder}: ${printScore(all)}\n`);
}
process.stdout.write(`${printScore(tried)}\n`);
if (survivors.length > tried.length * (1 - MIN_KILLED)) process.exitCode = 1;

function printScore(mutants: readonly Mutant[]): string {
  const killed = mutants.filter((each) => !isSurvivor(each)).length;
  return `${killed} of ${mutants.length} mutants were killed (${((100 * killed) / mutants.length).toFixed(1)} %)`;
}

function isSurvivor({ status }: Mutant): boolean {
  return status === 'Survived' || status === 'NoCoverage';
}

function hasChangedSince(report: string): boolean {
  const then = statSync(report).mtimeMs;
  return globSync('{src,test,tools}/**/*.{ts,txt,json}').some((file) => statSync(file).mtimeMs > then);
}

/** For code that runs at start, Stryker does not know which tests cover it, and so would not try a new test on its survivors. */
function forgetSurvivors(): void {
  const report = JSON.parse(readFileSync(REPORT, 'utf8')) as { readonly files: Readonly<Record<string, { mutants: readonly Mutant[] }>> };
  for (const file of Object.values(report.files)) file.mutants = file.mutants.filter((each) => !isSurvivor(each));
  writeFileSync(REPORT, JSON.stringify(report));
}

interface Mutant {
  readonly status: string;
}
