import { printable } from '../core/printable.ts';

/** A case of a JUnit report. */
export type CaseOutcome = { readonly output: readonly string[] } & (
  | { readonly outcome: 'passed' }
  | { readonly outcome: 'skipped'; readonly lines: readonly string[] }
  | { readonly outcome: 'failed'; readonly type: string; readonly message: string; readonly lines: readonly string[] }
);

export type TestCase = CaseOutcome & {
  /** Each file is a suite. */
  readonly file: string;
  readonly name: string;
};

/**
 * The XML of JUnit, with the attributes that all of its readers know.
 * Source: test/fixtures/junit/jenkins-junit.xsd, the schema of Jenkins
 * @param seconds that the run took
 */
export function printSuites(name: string, cases: readonly TestCase[], seconds: number): string {
  const suites = [...Map.groupBy(cases, ({ file }) => file)].map(
    ([file, all]) =>
      `  <testsuite name="${escapeXml(file)}" ${countsOf(all)} skipped="${count(all, 'skipped')}">\n${printCases(all)}  </testsuite>\n`,
  );
  const head = `<testsuites name="${escapeXml(name)}" ${countsOf(cases)} time="${seconds.toFixed(3)}">`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${head}\n${suites.join('')}</testsuites>\n`;
}

function countsOf(cases: readonly TestCase[]): string {
  return `tests="${cases.length}" failures="${count(cases, 'failed')}" errors="0"`;
}

function count(cases: readonly TestCase[], outcome: TestCase['outcome']): number {
  return cases.filter((each) => each.outcome === outcome).length;
}

/** GitLab drops a case whose name occurs twice in a file, so that later ones get a number. */
function printCases(cases: readonly TestCase[]): string {
  const uses = new Map<string, number>();
  return cases
    .map((each) => {
      const use = (uses.get(each.name) ?? 0) + 1;
      uses.set(each.name, use);
      return printCase(each, use === 1 ? each.name : `${each.name} (${use})`);
    })
    .join('');
}

function printCase(each: TestCase, name: string): string {
  const head = `    <testcase classname="${escapeXml(each.file)}" name="${escapeXml(name)}"`;
  const content = [...resultOf(each), ...(each.output.length === 0 ? [] : [`<system-out>${escapeLines(each.output)}</system-out>`])];
  return content.length === 0 ? `${head}/>\n` : `${head}>\n${content.map((element) => `      ${element}\n`).join('')}    </testcase>\n`;
}

function resultOf(each: TestCase): string[] {
  if (each.outcome === 'passed') return [];
  const text = escapeLines(each.lines);
  if (each.outcome === 'skipped') return [`<skipped>${text}</skipped>`];
  return [`<failure type="${escapeXml(each.type)}" message="${escapeXml(each.message)}">${text}</failure>`];
}

const MAX_LINE_CHARS = 4_000;
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

const escapeLines = (lines: readonly string[]): string => lines.map(escapeXml).join('&#10;');

/** XML has no way to write control characters: they are printed as text. */
function escapeXml(text: string): string {
  return printable(text, MAX_LINE_CHARS).replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
