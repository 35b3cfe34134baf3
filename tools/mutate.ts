import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { Stryker } from '@stryker-mutator/core';

/**
 * `npm run mutation`: breaks src/core on purpose, one place at a time, in a copy of the tree, and tells which breaks no test notices.
 *
 * - `--all` (or nothing): everything in core that runs for a request, against the tests of rules, core and contracts
 * - `--rules`: empties each block of each rule; one that can be emptied unnoticed is not tested
 * - `--data`: the lists and texts that are made once, at start; each break asks every test of a rule, so this takes longest
 * - `--survivors`: those of the run before, against the property tests too, which are too slow to be asked about each
 * - after that: files to break instead, such as src/core/patch.ts
 *
 * A survivor is a question, not yet a fault: some breaks change nothing that anybody could see. All tests must be green beforehand.
 */
const REPORT = 'reports/mutation.json';

const DATA_OPERATORS = ['ArrayDeclaration', 'StringLiteral'];
const LOGIC_OPERATORS = [
  'ArithmeticOperator',
  'ArrowFunction',
  'AssignmentOperator',
  'BooleanLiteral',
  'ConditionalExpression',
  'EqualityOperator',
  'LogicalOperator',
  'MethodExpression',
  'ObjectLiteral',
  'OptionalChaining',
  'Regex',
  'UnaryOperator',
  'UpdateOperator',
];

interface Run {
  readonly tests: string;
  readonly breaks: readonly string[];
  readonly without: readonly string[];
  readonly withStatic?: boolean;
}

const [mode = '--all', ...files] = process.argv.slice(2);
const run = runOf(mode);
process.env.CLOISTER_MUTATION_TESTS = run.tests;
process.env.CLOISTER_PROPERTY_RUNS ??= '1000';
// The same cases for every break, or a survivor would be a matter of luck.
process.env.CLOISTER_PROPERTY_SEED ??= '1';

const results = await new Stryker({
  mutate: files.length > 0 ? files : [...run.breaks],
  mutator: { excludedMutations: [...run.without] },
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'tools/mutation-tests.ts', related: false },
  coverageAnalysis: 'perTest',
  ignoreStatic: run.withStatic !== true,
  cleanTempDir: 'always',
  concurrency: 2,
  timeoutMS: 10_000,
  // There is none of this name. Stryker would rewrite the real one through a JavaScript interface that TypeScript 7 does not have.
  tsconfigFile: 'no-tsconfig.json',
  reporters: ['json', 'progress-append-only'],
  jsonReporter: { fileName: REPORT },
}).runMutationTest();

const tried = results.filter(({ status }) => status !== 'Ignored');
const survivors = tried.filter(({ status }) => status === 'Survived' || status === 'NoCoverage');
for (const { fileName, location, mutatorName, replacement } of survivors) {
  process.stdout.write(`${relative('.', fileName)}:${location.start.line} ${mutatorName}: ${replacement.replace(/\s+/g, ' ')}\n`);
}
process.stdout.write(`${tried.length - survivors.length} of ${tried.length} breaks were noticed\n`);
if (mode === '--rules' && survivors.length > 0) process.exitCode = 1;

function runOf(name: string): Run {
  switch (name) {
    case '--all':
      return { tests: 'test/{rules,core,contract}/*.test.ts', breaks: ['src/core/**/*.ts'], without: [] };
    case '--rules':
      return {
        tests: 'test/rules/*.test.ts',
        breaks: ['src/core/rules/*.ts'],
        without: [...LOGIC_OPERATORS, ...DATA_OPERATORS],
      };
    case '--data':
      return {
        tests: 'test/rules/*.test.ts',
        breaks: ['src/core/{rules,profiles}/*.ts', 'src/core/terms.ts'],
        without: ['BlockStatement', ...LOGIC_OPERATORS],
        withStatic: true,
      };
    case '--survivors':
      return { tests: 'test/{rules,core,contract,property}/*.test.ts', breaks: survivorsOf(REPORT), without: [] };
    default:
      throw new Error(`${name} is unknown: use --all, --rules, --data or --survivors`);
  }
}

/** `file:line:column-line:column` of what no test noticed. Columns count from 1 in a report, and from 0 where Stryker reads them. */
function survivorsOf(report: string): string[] {
  const { files: broken } = JSON.parse(readFileSync(report, 'utf8')) as Report;
  return Object.entries(broken).flatMap(([file, { mutants }]) =>
    mutants
      .filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
      .map(({ location: { start, end } }) => `${file}:${start.line}:${start.column - 1}-${end.line}:${end.column - 1}`),
  );
}

interface Report {
  readonly files: Readonly<Record<string, { readonly mutants: readonly Survivor[] }>>;
}

interface Survivor {
  readonly status: string;
  readonly location: { readonly start: Position; readonly end: Position };
}

interface Position {
  readonly line: number;
  readonly column: number;
}
