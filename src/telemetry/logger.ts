import pino, { type DestinationStream, type Logger } from 'pino';
import { printable } from '../core/printable.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Log {
  readonly logger: Logger;
  /** Calls the listener with the number of lines that were dropped because standard output is not read. */
  readonly onLost: (listener: (lines: number) => void) => void;
  /** Resolves when every line is written, or after a second: a reader that has stopped must not keep the process. Later lines are lost. */
  close(): Promise<void>;
}

/** The number of bytes that wait while standard output is not read. Further lines are dropped. */
const BACKLOG_BYTES = 4 * 1024 * 1024;
const CLOSE_TIMEOUT_MS = 1_000;

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
      await Promise.race([closed, pause(CLOSE_TIMEOUT_MS)]);
      // Otherwise pino waits for the reader again when the process exits.
      destination.destroy();
    },
  };

  /** Collects the lines of one turn of the event loop: one system call for each line would cost more than the line. */
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

/** Characters of one line of a trace. */
const MAX_LENGTH = 256;

/** The type and stack trace of an error, without its message: the message may quote the object that was judged. */
export function traceOf(error: unknown): { readonly type: string; readonly trace: readonly string[] } {
  if (!(error instanceof Error)) return { type: typeof error, trace: [] };
  const { name, message, stack = '' } = error;
  // `stack` starts with the message, and the message may look like a trace.
  const start = stack.indexOf(message);
  const lines = start === -1 ? [] : stack.slice(start + message.length).split('\n');
  return { type: name, trace: lines.filter((line) => /^ {4}at /.test(line)).map((line) => printable(line.trim(), MAX_LENGTH)) };
}
