import type { Logger } from 'pino';
import { printable } from '../core/printable.ts';
import type { CloseReason, RequestRecord, ShedReason } from '../core/request-record.ts';
import { traceOf } from './logger.ts';
import type { Metrics } from './metrics.ts';

/** How long records wait to be written as a batch: a batch costs less for each record, and delays no answer. */
const BATCH_WAIT_MS = 10;

/**
 * Turns events into metrics and one log line each: `info` for requests whose object was changed or denied, or could not be judged; `debug` for all
 * others.
 */
export function makeRecorder(logger: Logger, metrics: Metrics) {
  let queue: QueuedRecord[] = [];
  return {
    contentType: metrics.contentType,
    /** The text that Prometheus scrapes, with everything recorded so far. */
    expose(): Promise<string> {
      flush();
      return metrics.expose();
    },
    startRequest: metrics.startRequest,
    endRequest: metrics.endRequest,
    recordAnswer(record: RequestRecord, seconds: number): void {
      if (queue.push({ record, seconds }) === 1) setTimeout(flush, BATCH_WAIT_MS);
    },
    flush,
    recordRejection({ status, code }: { readonly status: number; readonly code: string }): void {
      metrics.countRejection(status);
      logger.debug({ status, code }, 'request rejected');
    },
    recordShed(reason: ShedReason): void {
      metrics.countShed(reason);
    },
    recordClose(reason: CloseReason): void {
      metrics.countClose('reviews', reason);
    },
    recordFailure(error: unknown): void {
      metrics.countFailure();
      logger.error({ err: traceOf(error) }, 'internal error: the review was answered with status 500');
    },
  };

  function flush(): void {
    const batch = queue;
    queue = [];
    for (const { record, seconds } of batch) {
      // The request is answered already, so no caller can handle this error.
      try {
        metrics.countAnswer(record, seconds);
        const level = record.outcome === 'allowed' ? 'debug' : 'info';
        if (logger.isLevelEnabled(level)) logger[level](fieldsOf(record, seconds), record.outcome);
      } catch (error) {
        logger.error({ err: traceOf(error) }, 'internal error: a request could not be recorded');
      }
    }
  }
}

interface QueuedRecord {
  readonly record: RequestRecord;
  readonly seconds: number;
}

function fieldsOf(record: RequestRecord, seconds: number) {
  const { phase, mode, outcome, verdict, dryRun, grant } = record;
  return {
    uid: printed(record.uid),
    namespace: printed(record.namespace),
    name: printed(record.name),
    kind: printed(record.kind),
    subresource: printed(record.subresource),
    operation: printed(record.operation),
    profile: printed(record.profile),
    phase,
    mode,
    grant,
    outcome,
    verdict,
    rules: record.counts.length === 0 ? undefined : [...new Set(record.counts.map(({ rule }) => rule))],
    exempted: record.exempted.length === 0 ? undefined : record.exempted,
    problem: printed(record.problem),
    dryRun: dryRun === true ? true : undefined,
    ms: Math.round(seconds * 1e6) / 1e3,
  };
}

/** Characters. A Kubernetes name has 253 at most. */
const MAX_LENGTH = 256;

function printed(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : printable(text, MAX_LENGTH);
}
