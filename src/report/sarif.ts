import type { Location, Log, Notification, ReportingDescriptor, Result } from 'sarif';
import { printPath } from '../core/path.ts';
import { printable } from '../core/printable.ts';
import { ruleById } from '../core/rules/index.ts';
import { entriesOf, type ReportEntry } from './entries.ts';
import { type CheckReport, notJudgedOf, type Place, type PlacedFinding, type RelatedField, type ReportContext } from './report.ts';
import { type Severity, severityOfRule } from './severity.ts';

/** GitHub rejects a file with more results. */
const MAX_RESULTS = 25_000;
/**
 * Bytes of all results together. GitHub rejects a file of more than 10 MB after its compression; the remaining bytes are for rules and notifications.
 */
const MAX_BYTES = 9_500_000;

const LEVELS = { wall: 'error', device: 'error', escape: 'error', promise: 'warning', unknown: 'note' } as const;
/** From 9.0: critical; from 7.0: high; from 4.0: medium. */
const SECURITY_SEVERITIES: Readonly<Record<Severity, string>> = {
  wall: '9.5',
  device: '8.0',
  escape: '6.5',
  promise: '2.0',
  unknown: '2.0',
};

/** Why results are less severe than their rule, as the last part of its id, and the sentence that its summary gets. */
const LESSER: Readonly<Record<'unenforced' | 'promise', string>> = {
  unenforced: 'The namespace does not enforce this.',
  promise: 'Here the grant does not have its full effect.',
};

/** The result that stands for those that are left out. */
const LIMIT_RULE = 'report-limit';

/**
 * SARIF 2.1.0, which code scanning of GitHub and editors read. What is not judged is a notification.
 * Sources: https://docs.oasis-open.org/sarif/sarif/v2.1.0/,
 * https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
 */
export function printSarif(report: CheckReport, context: ReportContext): string {
  const { version, sources, category } = context;
  const entries = entriesOf(report);
  const results = limit(entries);
  const used = new Set(results.map(({ ruleId = '' }) => ruleId));
  const rules = [...used].map((id) => descriptorOf(id, context));
  const indices = new Map(rules.map(({ id }, index) => [id, index]));
  const log: Log = {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'Cloister', semanticVersion: version, informationUri: sources, rules } },
        columnKind: 'utf16CodeUnits',
        ...(category === undefined ? {} : { automationDetails: { id: `${category}/` } }),
        invocations: [
          {
            executionSuccessful: true,
            toolExecutionNotifications: notJudgedOf(report).map(notify),
          },
        ],
        results: results.map((result) => ({ ...result, ruleIndex: indices.get(result.ruleId ?? '') ?? -1 })),
      },
    ],
  };
  return `${JSON.stringify(log)}\n`;
}

/** The worst results that fit. */
function limit(entries: readonly ReportEntry[]): Result[] {
  const results: Result[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const result = resultOf(entry);
    bytes += Buffer.byteLength(JSON.stringify(result));
    const isLast = results.length === entries.length - 1;
    if (bytes > MAX_BYTES || (results.length === MAX_RESULTS - 1 && !isLast)) {
      const missing = entries.length - results.length;
      const text = `${missing} less severe findings are left out, because the file would be too large: check fewer files at a time`;
      results.push({ ruleId: LIMIT_RULE, level: 'warning', message: { text }, locations: [locationOf(entry.pod.file, FILE_START)] });
      break;
    }
    results.push(result);
  }
  return results;
}

const FILE_START: Place = { line: 1, column: 1, endLine: 1, endColumn: 1 };

function resultOf({ pod, finding, severity, message, fingerprint }: ReportEntry): Result {
  return {
    ruleId: ruleIdOf(finding, severity),
    level: LEVELS[severity],
    message: { text: message },
    locations: [locationOf(pod.file, finding)],
    ...(finding.related && { relatedLocations: finding.related.map((field) => relatedLocationOf(pod.file, field)) }),
    partialFingerprints: { 'cloister/v1': fingerprint },
  };
}

/** GitHub takes the severity of a result from its rule. Therefore a result that is less severe than its rule has a rule of its own. */
function ruleIdOf({ rule, kind }: PlacedFinding, severity: Severity): string {
  if (severity !== 'promise' || severityOfRule(rule) === 'promise') return rule;
  const lesser: keyof typeof LESSER = kind === 'escape' ? 'unenforced' : 'promise';
  return `${rule}/${lesser}`;
}

function locationOf(file: string, { line, column, endLine, endColumn }: Place): Location {
  const region = { startLine: line, startColumn: column, endLine, endColumn };
  return { physicalLocation: { artifactLocation: { uri: uriOf(file) }, region } };
}

function relatedLocationOf(file: string, { path, ...place }: RelatedField): Location {
  return { ...locationOf(file, place), message: { text: `${printable(printPath(path))}: the fix changes this too` } };
}

/** A relative URI. A colon in its first step would end the name of a scheme. */
function uriOf(file: string): string {
  const uri = file.split('/').map(encodeURIComponent).join('/');
  return uri.startsWith('/') ? `file://${uri}` : uri;
}

function descriptorOf(id: string, { version, sources, helpOf }: ReportContext): ReportingDescriptor {
  const [ruleId = '', lesser] = id.split('/');
  const rule = ruleById.get(ruleId);
  if (rule === undefined) return { id, shortDescription: { text: 'The report has more findings than a file can hold.' } };
  const markdown = helpOf(ruleId);
  const severity = lesser === undefined ? severityOfRule(ruleId) : 'promise';
  const sentences = [rule.summary, ...(lesser === 'unenforced' || lesser === 'promise' ? [LESSER[lesser]] : [])];
  return {
    id,
    shortDescription: { text: sentences.join(' ') },
    fullDescription: { text: firstParagraphOf(markdown) },
    help: { text: firstParagraphOf(markdown), markdown },
    helpUri: `${sources}/blob/v${version}/docs/rules/${ruleId}.md`,
    defaultConfiguration: { level: LEVELS[severity] },
    properties: { tags: ['security', 'kubernetes'], 'security-severity': SECURITY_SEVERITIES[severity] },
  };
}

/** The paragraph below the title, on one line. */
function firstParagraphOf(markdown: string): string {
  const [, paragraph = ''] = markdown.split(/\n\n+/);
  return paragraph.replaceAll('\n', ' ').trim();
}

function notify(each: ReturnType<typeof notJudgedOf>[number]): Notification {
  return { level: 'note', message: { text: each.message }, locations: [locationOf(each.file, each)] };
}
