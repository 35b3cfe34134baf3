import { printable } from '../core/printable.ts';
import { remedyOf } from '../core/remedy.ts';
import { describe } from './entries.ts';
import { type CheckReport, type PodReport, type ReportContext, titleOf, type UnjudgedReport } from './report.ts';

/**
 * JUnit's XML, which most CI systems read: a suite for each file, and a case for each pod. Escapes fail a case; promises alone, and what is not judged,
 * skip it. What `cloister fix` would do is the output of the case.
 * Source: test/fixtures/junit/jenkins-junit.xsd, the schema of Jenkins
 */
export function printJunit({ pods, unjudged }: CheckReport, { seconds }: ReportContext): string {
  const names = new Map<string, number>();
  const cases = [
    ...pods.map(
      (pod): TestCase => ({ file: pod.file, ...caseOf(pod), name: uniqueName(names, pod.file, `${titleOf(pod)} in ${pod.namespace}`) }),
    ),
    ...unjudged.map(
      (object): TestCase => ({ file: object.file, ...unjudgedCaseOf(object), name: uniqueName(names, object.file, titleOf(object)) }),
    ),
  ];
  const suites = [...Map.groupBy(cases, ({ file }) => file)].map(
    ([file, all]) =>
      `  <testsuite name="${escapeXml(file)}" ${countsOf(all)} skipped="${count(all, 'skipped')}">\n${all.map(printCase).join('')}  </testsuite>\n`,
  );
  const time = seconds.toFixed(3);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="cloister check" ${countsOf(cases)} time="${time}">\n${suites.join('')}</testsuites>\n`;
}

interface Outcome {
  readonly outcome: 'passed' | 'skipped' | 'failed';
  /** Elements inside of the case. */
  readonly content: readonly string[];
}

interface TestCase extends Outcome {
  readonly file: string;
  readonly name: string;
}

function caseOf(pod: PodReport): Outcome {
  const { findings, verdict, profile, grant } = pod;
  const fixes = findings.filter(({ fix }) => fix !== undefined).map((finding) => `${describe(finding)}`);
  const output = fixes.length === 0 ? [] : [`<system-out>${escapeXml(['`cloister fix` changes:', ...fixes].join('\n'))}</system-out>`];
  if (findings.some(({ kind }) => kind === 'escape')) {
    const lines = findings.map(
      (finding) => `${pod.file}:${finding.line}:${finding.column}: ${finding.kind} ${finding.rule}: ${describe(finding)}`,
    );
    const message = `${verdict} under profile ${profile}, grant ${grant}`;
    return {
      outcome: 'failed',
      content: [`<failure type="${verdict}" message="${escapeXml(message)}">${escapeXml(lines.join('\n'))}</failure>`, ...output],
    };
  }
  if (findings.length === 0) return { outcome: 'passed', content: [] };
  const warnings = findings.map(({ rule, message, ...rest }) => `${rule}: ${printable(message)}; ${printable(remedyOf(rest))}`);
  return { outcome: 'skipped', content: [`<skipped>${escapeXml(warnings.join('\n'))}</skipped>`, ...output] };
}

function unjudgedCaseOf({ reason }: UnjudgedReport): Outcome {
  return { outcome: 'skipped', content: [`<skipped>${escapeXml(`not judged: ${reason}`)}</skipped>`] };
}

/** GitLab drops a case whose name occurs twice in a file. */
function uniqueName(names: Map<string, number>, file: string, name: string): string {
  const key = JSON.stringify([file, name]);
  const uses = (names.get(key) ?? 0) + 1;
  names.set(key, uses);
  return uses === 1 ? name : `${name} (${uses})`;
}

const count = (cases: readonly TestCase[], outcome: Outcome['outcome']): number => cases.filter((each) => each.outcome === outcome).length;

function countsOf(cases: readonly TestCase[]): string {
  return `tests="${cases.length}" failures="${count(cases, 'failed')}" errors="0"`;
}

function printCase({ file, name, content }: TestCase): string {
  const head = `    <testcase classname="${escapeXml(file)}" name="${escapeXml(name)}"`;
  return content.length === 0 ? `${head}/>\n` : `${head}>\n${content.map((each) => `      ${each}\n`).join('')}    </testcase>\n`;
}

const MAX_LINE_CHARS = 4_000;
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;' };

/** XML has no way to write control characters: they are printed as text. */
function escapeXml(text: string): string {
  const lines = text.split('\n').map((line) => printable(line, MAX_LINE_CHARS));
  return lines.join('\n').replace(/[&<>"\n]/g, (character) => ENTITIES[character] ?? character);
}
