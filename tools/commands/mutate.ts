import { existsSync, globSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { Stryker } from '@stryker-mutator/core';

/**
 * `npm run mutation [-- FILE...]`: breaks the files of src/core, or those named, on purpose, one place at a time, in a copy of the tree,
 * tells which breaks no test notices, and how many were noticed of how many.
 *
 * What is learned stays in reports/mutation.json, also of a run that Ctrl-C stops. The next one tries what is not known yet; what survived,
 * if any file has changed since; and of what was noticed, what stands in changed code or was noticed by a changed test. What changed
 * elsewhere may matter too: without that file it tries everything.
 *
 * A survivor is a question, not yet a fault: some breaks change nothing that anybody could see. All tests must be green beforehand.
 */
const REPORT = 'reports/mutation.json';
const COPIES = '.stryker-tmp';
const LEAST_NOTICED = 0.95;

process.env.CLOISTER_PROPERTY_RUNS ??= '200';
// The same cases for every break, or a survivor would be a matter of luck.
process.env.CLOISTER_PROPERTY_SEED ??= '1';

const files = process.argv.slice(2);
if (existsSync(REPORT) && hasChangedSince(REPORT)) forgetSurvivors();
// What a stopped run leaves behind.
rmSync(COPIES, { recursive: true, force: true });

const results = await new Stryker({
  // What is harmless is listed for a test alone.
  mutate: files.length > 0 ? files : ['src/core/**/*.ts', '!src/core/unjudged-fields.ts'],
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'tools/vitest/mutation-config.ts', related: false },
  coverageAnalysis: 'perTest',
  incremental: true,
  incrementalFile: REPORT,
  tempDirName: COPIES,
  cleanTempDir: 'always',
  concurrency: 2,
  // On a busy machine a slow test is no endless one.
  timeoutMS: 60_000,
  // There is none of this name. Stryker would rewrite the real one through a JavaScript interface that TypeScript 7 does not have.
  tsconfigFile: 'no-tsconfig.json',
  reporters: ['progress-append-only'],
}).runMutationTest();

const tried = results.filter(({ status }) => status !== 'Ignored');
const survivors = tried.filter(isSurvivor);
for (const { fileName, location, mutatorName, replacement } of survivors) {
  process.stdout.write(`${relative('.', fileName)}:${location.start.line} ${mutatorName}: ${replacement.replace(/\s+/g, ' ')}\n`);
}
for (const [room, all] of Map.groupBy(tried, ({ fileName }) => dirname(relative('.', fileName)))) {
  process.stdout.write(`${room}: ${score(all)}\n`);
}
process.stdout.write(`${score(tried)}\n`);
if (survivors.length > tried.length * (1 - LEAST_NOTICED)) process.exitCode = 1;

function score(breaks: readonly Break[]): string {
  const noticed = breaks.filter((each) => !isSurvivor(each)).length;
  return `${noticed} of ${breaks.length} breaks were noticed (${((100 * noticed) / breaks.length).toFixed(1)} %)`;
}

function isSurvivor({ status }: Break): boolean {
  return status === 'Survived' || status === 'NoCoverage';
}

function hasChangedSince(report: string): boolean {
  const then = statSync(report).mtimeMs;
  return globSync('{src,test,tools}/**/*.{ts,txt,json}').some((file) => statSync(file).mtimeMs > then);
}

/** Which tests would notice what is made at start, Stryker does not know, and so not that a new one might. */
function forgetSurvivors(): void {
  const report = JSON.parse(readFileSync(REPORT, 'utf8')) as { readonly files: Readonly<Record<string, { mutants: readonly Break[] }>> };
  for (const file of Object.values(report.files)) file.mutants = file.mutants.filter((each) => !isSurvivor(each));
  writeFileSync(REPORT, JSON.stringify(report));
}

interface Break {
  readonly status: string;
}
