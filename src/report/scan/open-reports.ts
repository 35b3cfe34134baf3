import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import { printPlace } from '../../core/finding-text.ts';
import { printPath } from '../../core/path.ts';
import { pointerOf } from '../../core/pointer.ts';
import { printable } from '../../core/printable.ts';
import { remedyOf } from '../../core/remedy.ts';
import type { Finding } from '../../core/rules/rule.ts';
import { type Severity, severityOf } from '../severity.ts';
import type { ScanReport, ScanRow, WallFinding } from './scan-report.ts';
import { isNoteworthy } from './summary.ts';

/**
 * A Report of OpenReports about one pod. It has the pod's namespace and the pod's UID as its name, and the pod owns it: the API server deletes it
 * with the pod.
 * Source: https://github.com/openreports/reports-api, v0.2.1, config/crd/openreports.io_reports.yaml
 */
export interface OpenReport {
  readonly apiVersion: 'openreports.io/v1alpha1';
  readonly kind: 'Report';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly ownerReferences: readonly object[];
  };
  readonly source: 'cloister';
  readonly scope: object;
  readonly summary: Readonly<Record<ResultOutcome, number>>;
  readonly results: readonly OpenReportResult[];
}

export interface OpenReportResult {
  readonly policy: string;
  readonly rule: string;
  readonly category: string;
  readonly severity: ResultSeverity;
  /** When it was first found. */
  readonly timestamp: { readonly seconds: number; readonly nanos: number };
  readonly result: ResultOutcome;
  readonly message: string;
  /** `resultID` is the same for the same finding of the same pod, in every scan. */
  readonly properties: Readonly<Record<string, string>> & { readonly resultID: string };
}

const OUTCOMES = ['pass', 'fail', 'warn', 'error', 'skip'] as const;
type ResultOutcome = (typeof OUTCOMES)[number];

/** From the worst. */
const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'] as const;
type ResultSeverity = (typeof SEVERITIES)[number];

export interface OpenReports {
  /** The worst pods first. */
  readonly reports: readonly OpenReport[];
  /** Number of pods with findings beyond `maxReports`. */
  readonly omitted: number;
}

/** Of every report. They select the reports of earlier scans. */
export const REPORT_LABELS = {
  'app.kubernetes.io/name': 'cloister',
  'app.kubernetes.io/managed-by': 'cloister',
  'app.kubernetes.io/component': 'scan',
} as const;

/** Of a report. A result has about 530 bytes, and an object of the API server at most 1.5 MB. */
const MAX_RESULTS = 50;

/**
 * A Report for each pod with something to report. Pods without are left out, so that a large cluster costs little.
 * @param maxReports what one scan may leave in the cluster
 */
export function openReportsOf(
  { rows, time }: Pick<ScanReport, 'rows' | 'time'>,
  { maxReports }: { readonly maxReports: number },
): OpenReports {
  const pods = [...Map.groupBy(rows.filter(isNoteworthy), ({ uid }) => uid).values()];
  return {
    reports: pods.slice(0, maxReports).map((podRows) => reportOf(podRows, time)),
    omitted: Math.max(0, pods.length - maxReports),
  };
}

/** A YAML stream, for `kubectl apply` and for tools that read files. Values that YAML 1.1 takes for another type, such as `no`, are quoted. */
export function printOpenReports({ reports }: OpenReports): string {
  return reports.map((report) => `---\n${stringify(report, { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' })}`).join('');
}

/** @param rows of one pod: one for each of its modes */
function reportOf(rows: readonly ScanRow[], time: Date): OpenReport {
  const [{ namespace, name, uid }] = rows as [ScanRow];
  const results = limit(rows.flatMap(draftsOf).sort(byRank), rows[0] as ScanRow).map(identify(uid, timestampOf(time)));
  const pod = { apiVersion: 'v1', kind: 'Pod', name, uid };
  return {
    apiVersion: 'openreports.io/v1alpha1',
    kind: 'Report',
    metadata: {
      name: uid,
      namespace,
      labels: REPORT_LABELS,
      ownerReferences: [pod],
    },
    source: 'cloister',
    scope: { ...pod, namespace },
    summary: Object.fromEntries(
      OUTCOMES.map((outcome) => [outcome, results.filter(({ result }) => result === outcome).length]),
    ) as OpenReport['summary'],
    results,
  };
}

/** A result without what depends on the others. */
interface ResultDraft extends Omit<OpenReportResult, 'timestamp' | 'properties'> {
  /** With policy and rule: what makes it the same result in the next scan. */
  readonly identity: string;
  readonly properties: Readonly<Record<string, string>>;
}

const rankOf = ({ severity, result }: ResultDraft): number => SEVERITIES.indexOf(severity) + (result === 'skip' ? SEVERITIES.length : 0);
const byRank = (a: ResultDraft, b: ResultDraft): number => rankOf(a) - rankOf(b);

/** The worst results, and one that counts the others. */
function limit(drafts: readonly ResultDraft[], { profile }: ScanRow): readonly ResultDraft[] {
  const rest = drafts.length - MAX_RESULTS;
  if (rest <= 0) return drafts;
  const message = `${rest} further results are left out: \`cloister scan -o json\` prints all`;
  const counted = {
    policy: profile,
    rule: 'further-results',
    category: 'Further results',
    severity: 'info',
    result: 'warn',
    message,
  } as const;
  return [...drafts.slice(0, MAX_RESULTS), { ...counted, identity: '', properties: {} }];
}

/** Adds time and id. Results that differ in nothing but their text are numbered. */
function identify(uid: string, timestamp: OpenReportResult['timestamp']): (draft: ResultDraft) => OpenReportResult {
  const seen = new Map<string, number>();
  return ({ identity, properties, ...draft }) => {
    const text = JSON.stringify([uid, draft.policy, draft.rule, identity]);
    const uses = (seen.get(text) ?? 0) + 1;
    seen.set(text, uses);
    const resultID = createHash('sha256').update(`${text} ${uses}`).digest('hex').slice(0, 32);
    return { ...draft, timestamp, properties: { resultID, ...properties } };
  };
}

function timestampOf(time: Date): OpenReportResult['timestamp'] {
  const ms = time.getTime();
  return { seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 };
}

const MAX_TEXT_CHARS = 500;
const textOf = (text: string): string => printable(text, MAX_TEXT_CHARS);

function draftsOf(row: ScanRow): readonly ResultDraft[] {
  const { profile, mode, grant, verdict, findings, exempted, wall, notes } = row;
  // Only the mode enforce refuses anything.
  const failed = mode === 'enforce' || mode === 'opt-in' ? 'fail' : 'warn';
  const about = { policy: profile, properties: { mode, grant } };
  return [
    ...(verdict === 'unjudged' ? [{ ...about, ...NOT_JUDGED, message: textOf(['the pod cannot be judged', ...notes].join(': ')) }] : []),
    ...wall.findings.map((finding) => draftOfWall(row, finding, failed)),
    ...findings.map((finding) => draftOf(row, finding, failed)),
    ...exempted.map(({ rule, value, reason }) => ({
      ...about,
      rule,
      category: 'Exemptions',
      severity: 'info' as const,
      result: 'skip' as const,
      message: textOf(`${value} is exempted: ${reason}`),
      identity: `exempted ${value}`,
    })),
    ...(verdict === 'unjudged' ? [] : notes).map((note) => ({
      ...about,
      rule: 'note',
      category: 'Notes',
      severity: 'info' as const,
      result: 'warn' as const,
      message: textOf(note),
      identity: note,
    })),
  ];
}

const NOT_JUDGED = { rule: 'not-judged', category: 'Not judged', severity: 'medium', result: 'error', identity: '' } as const;

const KINDS: Readonly<Record<Severity, readonly [ResultSeverity, string]>> = {
  wall: ['critical', 'Wall'],
  device: ['high', 'Capabilities and devices'],
  escape: ['high', 'Isolation'],
  promise: ['medium', 'Grant'],
  unknown: ['low', 'Unknown fields'],
};

function draftOf({ profile, mode, grant }: ScanRow, finding: Finding, failed: 'fail' | 'warn'): ResultDraft {
  const { rule, kind, container, path, message } = finding;
  const [severity, category] = KINDS[severityOf(finding)];
  return {
    policy: profile,
    rule,
    category,
    severity,
    result: kind === 'escape' ? failed : 'warn',
    message: textOf(`${printPlace(finding)}: ${message}`),
    identity: `${container ?? ''} ${printPath(path)}`,
    properties: {
      mode,
      grant,
      ...(container !== undefined && { container: textOf(container) }),
      pointer: textOf(pointerOf(path)),
      remedy: textOf(remedyOf(finding)),
    },
  };
}

const WALL_SEVERITIES = { error: 'high', warning: 'medium', info: 'info' } as const;

function draftOfWall(
  { profile, mode, grant, wall }: ScanRow,
  { check, severity, message, remedy }: WallFinding,
  failed: 'fail' | 'warn',
): ResultDraft {
  return {
    policy: profile,
    rule: `wall-${check}`,
    category: 'Wall',
    severity: severity === 'error' && wall.state === 'missing' ? 'critical' : WALL_SEVERITIES[severity],
    result: severity === 'error' ? failed : 'warn',
    message: textOf(message),
    identity: '',
    properties: { mode, grant, ...(remedy !== '' && { remedy: textOf(remedy) }) },
  };
}
