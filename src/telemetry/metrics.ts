import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { rules } from '../core/rules/index.ts';
import { makeTally } from './batched-counter.ts';
import type { Told } from './told.ts';

export interface Metrics {
  readonly contentType: string;
  /** The text that Prometheus reads. */
  expose(): Promise<string>;
  began(): void;
  ended(): void;
  answered(told: Told, seconds: number): void;
  refused(status: number): void;
  /** Turned away for now; for reasons see SHED. */
  shed(reason: string): void;
  threadLost(loss: string): void;
  /** @param read tells how many bytes of bodies are held */
  bodyBytes(read: () => number): void;
  /** A bug. */
  failed(): void;
  certificateExpires(at: Date): void;
  certificateReloaded(outcome: 'replaced' | 'kept'): void;
  logLinesLost(lines: number): void;
}

/** A profile that is not configured; whoever calls writes it into the path, so it must not become a label. */
const UNKNOWN = 'unknown';

/** Which outcomes an entry can have: series that exist from the start can be told from series that never moved. */
const ENTRIES = [
  { phase: 'mutate', mode: 'enforce', outcomes: ['allowed', 'patched', 'failed'] },
  { phase: 'validate', mode: 'enforce', outcomes: ['allowed', 'denied', 'failed'] },
  { phase: 'validate', mode: 'warn', outcomes: ['allowed', 'failed'] },
  { phase: 'validate', mode: 'audit', outcomes: ['allowed', 'failed'] },
] as const;

const SHED = ['late', 'arriving', 'bytes', 'waiting'] as const;
const LOSSES = ['ended', 'overdue'] as const;
const PHASES = ['mutate', 'validate', 'advise', 'unknown'] as const;

/** What a process is made of, and does not change while it runs. */
export interface Build {
  readonly profiles: Iterable<string>;
  readonly version: string;
  /** The configuration's digest. */
  readonly configuration: string;
}

/** Metrics of their own registry. Every label has few values, all known at start or written in our code. */
export function makeMetrics({ profiles, version, configuration }: Build): Metrics {
  const known = new Set(profiles);
  const registry = new Registry();
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name: `cloister_${name}`, help, labelNames, registers });
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Gauge({ name: `cloister_${name}`, help, labelNames, registers });

  const tally = (name: string, help: string, labelNames: readonly string[], known: readonly (readonly string[])[]) =>
    makeTally(`cloister_${name}`, help, { labelNames, known, registers });

  const requests = tally('requests_total', 'Reviews answered.', ['phase', 'mode', 'profile', 'outcome'], entriesOf(known));
  const dryRuns = tally(
    'dry_run_requests_total',
    'Reviews answered of requests that were to change nothing.',
    ['phase'],
    PHASES.map((phase) => [phase]),
  );
  const verdicts = tally('verdicts_total', 'What enforcing makes of what was judged.', ['mode', 'profile', 'verdict'], []);
  const findings = tally(
    'findings_total',
    'Findings, by rule.',
    ['rule', 'kind'],
    rules.map(({ id }) => [id, 'escape']),
  );
  const exemptions = counter('exemptions_total', 'Values let through by an exemption, by rule.', ['rule']);
  const refusals = counter('refused_requests_total', 'HTTP requests turned away before anything was judged.', ['status']);
  const shed = counter('shed_requests_total', 'Reviews answered with 429 or 503, to come again later, by what there was too much of.', [
    'reason',
  ]);
  const losses = counter('judging_threads_lost_total', 'Threads for large reviews that failed over one: ended by themselves, or overdue.', [
    'reason',
  ]);
  const bugs = counter('failed_requests_total', 'Reviews that met a bug and were answered with status 500.', []);
  const duration = new Histogram({
    name: 'cloister_request_duration_seconds',
    help: 'From the headers of a review to its answer, the time its body took to arrive included.',
    labelNames: ['phase'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  let underWay = 0;
  new Gauge({
    name: 'cloister_requests_in_flight',
    help: 'Reviews under way.',
    registers,
    collect() {
      this.set(underWay);
    },
  });
  const expiry = gauge('certificate_expiry_timestamp_seconds', 'When the serving certificate expires; 0 while there is none.');
  const reloads = counter(
    'certificate_reloads_total',
    'Certificate files that changed: replaced, or kept because the new ones are no good.',
    ['outcome'],
  );
  const lostLines = counter('lost_log_lines_total', 'Log lines dropped because nobody read standard output.', []);
  gauge('build_info', 'Always 1; the label tells the version.', ['version']).set({ version }, 1);
  gauge('configuration_info', 'Always 1; the label tells the SHA-256 of the configuration file that this process runs.', ['sha256']).set(
    { sha256: configuration },
    1,
  );
  collectDefaultMetrics({ register: registry });

  for (const phase of PHASES) duration.zero({ phase });
  for (const reason of SHED) shed.inc({ reason }, 0);
  for (const reason of LOSSES) losses.inc({ reason }, 0);
  for (const outcome of ['replaced', 'kept']) reloads.inc({ outcome }, 0);

  return {
    contentType: registry.contentType,
    expose: () => registry.metrics(),
    began() {
      underWay += 1;
    },
    ended() {
      underWay -= 1;
    },
    answered(told, seconds) {
      const { phase, mode, outcome, verdict } = told;
      const profile = known.has(told.profile) ? told.profile : UNKNOWN;
      requests([phase, mode, profile, outcome]);
      duration.observe({ phase }, seconds);
      if (told.dryRun === true) dryRuns([phase]);
      if (verdict !== undefined) verdicts([mode, profile, verdict]);
      for (const { rule, kind, count } of told.counts) findings([rule, kind], count);
      for (const { rule } of told.exempted) exemptions.inc({ rule });
    },
    refused: (status) => refusals.inc({ status }),
    shed: (reason) => shed.inc({ reason }),
    threadLost: (reason) => losses.inc({ reason }),
    bodyBytes(read) {
      new Gauge({
        name: 'cloister_body_bytes',
        help: 'Bytes held of the bodies of reviews.',
        registers,
        collect() {
          this.set(read());
        },
      });
    },
    failed: () => bugs.inc(),
    certificateExpires: (at) => expiry.set(at.getTime() / 1_000),
    certificateReloaded: (outcome) => reloads.inc({ outcome }),
    logLinesLost: (lines) => lostLines.inc(lines),
  };
}

function entriesOf(profiles: ReadonlySet<string>): string[][] {
  return [...profiles].flatMap((profile) =>
    ENTRIES.flatMap(({ phase, mode, outcomes }) => outcomes.map((outcome) => [phase, mode, profile, outcome])),
  );
}
