import pino, { type DestinationStream, type Logger } from 'pino';
import { printable } from '../core/printable.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Log {
  readonly logger: Logger;
  /** Lines that were dropped because nobody read the ones before. */
  readonly onLost: (listener: (lines: number) => void) => void;
  /** Resolves when all is written, or after a second: a reader that has stopped must not keep the process. Nothing is written after it. */
  close(): Promise<void>;
}

// When nobody reads standard output, this much waits; what comes after is lost.
const BACKLOG_BYTES = 4 * 1024 * 1024;

/** One JSON object a line on standard output, written in the background. */
export function openLog(level: LogLevel): Log {
  const destination = pino.destination({ dest: 1, sync: false, maxLength: BACKLOG_BYTES });
  let lines = '';
  return {
    logger: makeLogger(level, { write }),
    onLost: (listener) => destination.on('drop', (dropped: string) => listener(dropped.split('\n').length - 1)),
    async close() {
      passOn();
      const closed = new Promise<void>((resolve) => destination.once('close', () => resolve()));
      destination.end();
      await Promise.race([closed, pause(1_000)]);
      // Else pino waits for the reader once more, when the process exits.
      destination.destroy();
    },
  };

  /** Lines that are written in one go are passed on together: a write to the system costs more than a line does. */
  function write(line: string): void {
    if (lines === '') queueMicrotask(passOn);
    lines += line;
  }

  function passOn(): void {
    if (lines === '') return;
    destination.write(lines);
    lines = '';
  }
}

export function makeLogger(level: LogLevel, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

const MAX_LENGTH = 256;

/** Where an error comes from. Not its message: that may quote what was judged. */
export function traceOf(error: unknown): { readonly type: string; readonly trace: readonly string[] } {
  if (!(error instanceof Error)) return { type: typeof error, trace: [] };
  const { name, message, stack = '' } = error;
  // The message stands before the trace, and may look like one.
  const start = stack.indexOf(message);
  const lines = start === -1 ? [] : stack.slice(start + message.length).split('\n');
  return { type: name, trace: lines.filter((line) => /^ {4}at /.test(line)).map((line) => printable(line.trim(), MAX_LENGTH)) };
}
