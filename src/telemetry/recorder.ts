import type { Logger } from 'pino';
import { printable } from '../core/printable.ts';
import { traceOf } from './logger.ts';
import type { Metrics } from './metrics.ts';
import type { Told } from './told.ts';

/** How long records wait for company: to tell many at once costs each a fraction, and keeps it out of the way of answers. */
const WAIT_MS = 10;

/** Turns what is told into metrics and one log line: info for what was changed, refused or not understood, debug for the rest. */
export function makeRecorder(logger: Logger, metrics: Metrics) {
  let waiting: Waiting[] = [];
  return {
    contentType: metrics.contentType,
    /** The text that Prometheus reads, with all that was told. */
    expose(): Promise<string> {
      flush();
      return metrics.expose();
    },
    began: metrics.began,
    ended: metrics.ended,
    answered(told: Told, seconds: number): void {
      if (waiting.push({ told, seconds }) === 1) setTimeout(flush, WAIT_MS);
    },
    flush,
    refused(status: number): void {
      metrics.refused(status);
      logger.debug({ status }, 'turned away');
    },
    failed(error: unknown): void {
      metrics.failed();
      logger.error({ err: traceOf(error) }, 'a bug: the review was answered with status 500');
    },
  };

  function flush(): void {
    const batch = waiting;
    waiting = [];
    for (const { told, seconds } of batch) {
      // Nobody waits for this any more, and nobody could do anything about it.
      try {
        metrics.answered(told, seconds);
        const level = told.outcome === 'allowed' ? 'debug' : 'info';
        if (logger.isLevelEnabled(level)) logger[level](fieldsOf(told, seconds), told.outcome);
      } catch (error) {
        logger.error({ err: traceOf(error) }, 'a request could not be recorded');
      }
    }
  }
}

interface Waiting {
  readonly told: Told;
  readonly seconds: number;
}

function fieldsOf(told: Told, seconds: number) {
  const { phase, mode, outcome, verdict, dryRun, grant } = told;
  return {
    uid: shown(told.uid),
    namespace: shown(told.namespace),
    name: shown(told.name),
    kind: shown(told.kind),
    subresource: shown(told.subresource),
    operation: shown(told.operation),
    profile: shown(told.profile),
    phase,
    mode,
    grant,
    outcome,
    verdict,
    rules: told.counts.length === 0 ? undefined : [...new Set(told.counts.map(({ rule }) => rule))],
    exempted: told.exempted.length === 0 ? undefined : told.exempted,
    problem: shown(told.problem),
    dryRun: dryRun === true ? true : undefined,
    ms: Math.round(seconds * 1e6) / 1e3,
  };
}

/** A name is 253 characters at most. */
const MAX_LENGTH = 256;

function shown(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : printable(text, MAX_LENGTH);
}
