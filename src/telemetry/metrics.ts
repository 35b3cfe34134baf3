import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import {
  CLOSE_REASONS,
  type CloseReason,
  PHASES,
  type RequestRecord,
  SHED_REASONS,
  type ShedReason,
  WORKER_LOSSES,
  type WorkerLoss,
} from '../core/request-record.ts';
import { rules } from '../core/rules/index.ts';
import { unknownFields } from '../core/rules/unknown-fields.ts';
import { makeBatchedCounter } from './batched-counter.ts';

export interface Metrics {
  readonly contentType: string;
  /** The text that Prometheus scrapes. */
  expose(): Promise<string>;
  startRequest(): void;
  endRequest(): void;
  countAnswer(record: RequestRecord, seconds: number): void;
  /** A request that was rejected before it was judged. */
  countRejection(status: number): void;
  countShed(reason: ShedReason): void;
  /** A connection that was closed early. */
  countClose(port: Port, reason: CloseReason): void;
  countWorkerLoss(loss: WorkerLoss): void;
  /** @param read returns the number of bytes that the bodies of reviews hold */
  observeBodyBytes(read: () => number): void;
  /** A review that failed because of a bug. */
  countFailure(): void;
  setCertificateExpiry(at: Date): void;
  countCertificateReload(outcome: CertificateReload): void;
  countLostLogLines(lines: number): void;
}

const CERTIFICATE_RELOADS = ['replaced', 'kept'] as const;
export type CertificateReload = (typeof CERTIFICATE_RELOADS)[number];

const PORTS = ['reviews', 'operations', 'metrics'] as const;
export type Port = (typeof PORTS)[number];

/** Label value of every profile that is not configured: callers write the profile into the path, so it must not become a label. */
const UNKNOWN = 'unknown';

/** The outcomes that each entry can have. A series that exists from the start shows its first event as an increase. */
const ENTRIES = [
  { phase: 'mutate', mode: 'enforce', outcomes: ['allowed', 'patched', 'failed'] },
  { phase: 'validate', mode: 'enforce', outcomes: ['allowed', 'denied', 'failed'] },
  { phase: 'validate', mode: 'warn', outcomes: ['allowed', 'failed'] },
  { phase: 'validate', mode: 'audit', outcomes: ['allowed', 'failed'] },
] as const;

/** What identifies the build and the configuration of a process. */
export interface ServingProcess {
  readonly profiles: Iterable<string>;
  readonly version: string;
  /** SHA-256 of the configuration file. */
  readonly configuration: string;
}

/** Makes the metrics, in a registry of their own. Every label has few values: they are known at start, or written in this code. */
export function makeMetrics({ profiles, version, configuration }: ServingProcess): Metrics {
  const known = new Set(profiles);
  const registry = new Registry();
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name: `cloister_${name}`, help, labelNames, registers });
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Gauge({ name: `cloister_${name}`, help, labelNames, registers });

  const batchedCounter = (name: string, help: string, labelNames: readonly string[], known: readonly (readonly string[])[]) =>
    makeBatchedCounter(`cloister_${name}`, help, { labelNames, known, registers });

  const requests = batchedCounter('requests_total', 'Reviews answered.', ['phase', 'mode', 'profile', 'outcome'], entriesOf(known));
  const dryRuns = batchedCounter(
    'dry_run_requests_total',
    'Dry-run reviews answered.',
    ['phase'],
    PHASES.map((phase) => [phase]),
  );
  const verdicts = batchedCounter(
    'verdicts_total',
    'Verdicts: what enforcement does, or would do, with the objects that were judged.',
    ['mode', 'profile', 'verdict'],
    [],
  );
  const findings = batchedCounter(
    'findings_total',
    'Findings, by rule.',
    ['rule', 'kind'],
    [...rules.map(({ id }) => [id, 'escape']), [unknownFields.id, 'unknown']],
  );
  const exemptions = counter('exemptions_total', 'Values admitted by an exemption, by rule.', ['rule']);
  const rejections = counter('refused_requests_total', 'HTTP requests rejected before they were judged, by status.', ['status']);
  const shed = counter('shed_requests_total', 'Reviews shed with status 429 or 503 and Retry-After, by reason.', ['reason']);
  const closed = counter(
    'closed_connections_total',
    'Connections closed early, by port and by reason: full, handshakes (one took long while others waited), idle (too many of one network), pipelined (too many requests without an answer) or unread (an answer was not read in time).',
    ['port', 'reason'],
  );
  const losses = counter(
    'judging_threads_lost_total',
    'Workers lost while judging a large review, by reason: ended (a bug), memory or overdue.',
    ['reason'],
  );
  const failures = counter('failed_requests_total', 'Reviews answered with status 500 because of a bug.', []);
  const duration = new Histogram({
    name: 'cloister_request_duration_seconds',
    help: 'Seconds from the headers of a review to its answer, including the upload of its body.',
    labelNames: ['phase'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  let inFlight = 0;
  new Gauge({
    name: 'cloister_requests_in_flight',
    help: 'Reviews in flight.',
    registers,
    collect() {
      this.set(inFlight);
    },
  });
  const expiry = gauge(
    'certificate_expiry_timestamp_seconds',
    'Unix time at which the serving certificate expires, in seconds; 0 without a certificate.',
  );
  const reloads = counter(
    'certificate_reloads_total',
    'Changes of the certificate files: replaced, or kept because the new certificate was rejected.',
    ['outcome'],
  );
  const lostLines = counter('lost_log_lines_total', 'Log lines dropped because standard output was not read.', []);
  gauge('build_info', 'Always 1; the label is the version.', ['version']).set({ version }, 1);
  gauge('configuration_info', 'Always 1; the label is the SHA-256 of the configuration file in use.', ['sha256']).set(
    { sha256: configuration },
    1,
  );
  collectDefaultMetrics({ register: registry });

  for (const phase of PHASES) duration.zero({ phase });
  for (const reason of SHED_REASONS) shed.inc({ reason }, 0);
  for (const port of PORTS) for (const reason of CLOSE_REASONS) closed.inc({ port, reason }, 0);
  for (const reason of WORKER_LOSSES) losses.inc({ reason }, 0);
  for (const outcome of CERTIFICATE_RELOADS) reloads.inc({ outcome }, 0);

  return {
    contentType: registry.contentType,
    expose: () => registry.metrics(),
    startRequest() {
      inFlight += 1;
    },
    endRequest() {
      inFlight -= 1;
    },
    countAnswer(record, seconds) {
      const { phase, mode, outcome, verdict } = record;
      const profile = known.has(record.profile) ? record.profile : UNKNOWN;
      requests([phase, mode, profile, outcome]);
      duration.observe({ phase }, seconds);
      if (record.dryRun === true) dryRuns([phase]);
      if (verdict !== undefined) verdicts([mode, profile, verdict]);
      for (const { rule, kind, count } of record.counts) findings([rule, kind], count);
      for (const { rule } of record.exempted) exemptions.inc({ rule });
    },
    countRejection: (status) => rejections.inc({ status }),
    countShed: (reason) => shed.inc({ reason }),
    countClose: (port, reason) => closed.inc({ port, reason }),
    countWorkerLoss: (reason) => losses.inc({ reason }),
    observeBodyBytes(read) {
      new Gauge({
        name: 'cloister_body_bytes',
        help: 'Bytes held by the bodies of reviews.',
        registers,
        collect() {
          this.set(read());
        },
      });
    },
    countFailure: () => failures.inc(),
    setCertificateExpiry: (at) => expiry.set(at.getTime() / 1_000),
    countCertificateReload: (outcome) => reloads.inc({ outcome }),
    countLostLogLines: (lines) => lostLines.inc(lines),
  };
}

function entriesOf(profiles: ReadonlySet<string>): string[][] {
  return [...profiles].flatMap((profile) =>
    ENTRIES.flatMap(({ phase, mode, outcomes }) => outcomes.map((outcome) => [phase, mode, profile, outcome])),
  );
}
