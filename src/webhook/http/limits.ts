import type { BodyLimits } from './body.ts';
import type { ConnectionLimits } from './connection-table.ts';
import type { HandshakeLimits } from './handshakes.ts';
import type { LoadLimits } from './load-shedding.ts';

/** What callers may use of the server. */
export interface Limits extends BodyLimits, ConnectionLimits, HandshakeLimits, LoadLimits {
  /** The time for judging reviews that wait for their turn, in one turn of the event loop. A review that has begun is not interrupted. */
  readonly turnMs: number;
  /** The longest that a large review may take; the API server's own timeout may be shorter. */
  readonly largeReviewTimeoutMs: number;
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  readonly headersTimeoutMs: number;
  /** For headers and body together. */
  readonly requestTimeoutMs: number;
  /** How often the server looks for requests that exceed a timeout. */
  readonly timeoutCheckIntervalMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly maxRequestsPerConnection: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS: Limits = {
  // An update carries two objects of 3 MiB at most each; the API server's defaulting adds to them, and the envelope comes on top.
  maxBodyBytes: 8 * MIB,
  // A new pod has 11 KiB. A hostile body of this size takes a millisecond or two.
  smallBodyBytes: 16 * KIB,
  turnMs: 2,
  // Parsing and judging this many bytes takes five milliseconds. Other reviews may have to wait for it.
  largeBodyBytes: 256 * KIB,
  // 150 KiB of ordinary pods have this many values. The smaller the values, the more work each byte makes.
  manyValues: 12_000,
  // Two ordinary objects of 3 MiB, the most that an API server accepts, have 490,000; etcd stores half of that. The number of values decides
  // how much time and memory parsing takes, whatever the bytes.
  maxValues: 500_000,
  // Go sends TLS records of 1.2 KB and more, and a body of known length in pieces of 4 KiB and more.
  freePieces: 64,
  minPieceBytes: 256,
  largeReviewTimeoutMs: 4_000,
  maxHeaderBytes: 8 * KIB,
  maxHeaders: 64,
  handshakeTimeoutMs: 5_000,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  timeoutCheckIntervalMs: 1_000,
  // The API server keeps an idle connection for 90 s. If this server closed it first, the API server's next request could be lost.
  keepAliveTimeoutMs: 120_000,
  maxRequestsPerConnection: 1_000,
  // Three API servers have 600 requests at a time each, and open a connection for each. A connection takes about 90 KiB.
  maxConnections: 2_048,
  // An API server keeps 25 idle connections for each kind of webhook. Several API servers may share an address.
  maxIdleOfNetwork: 512,
  // A handshake takes about a millisecond of the processor and one round trip; this number keeps the processor busy while a handshake waits two
  // milliseconds for the network.
  maxHandshakes: 16,
  contendedHandshakeMs: 500,
  // An API server in the same region completes a handshake in a few round trips of milliseconds.
  unevenHandshakeMs: 100,
  enforced: { loopDelayMs: 1_000, uploads: 512, bodyBytes: 64 * MIB, queuedBytes: 32 * MIB },
  watched: { loopDelayMs: 250, uploads: 256, bodyBytes: 32 * MIB, queuedBytes: 16 * MIB },
  // An API server reads an answer within moments. An answer has 256 KiB at most.
  answers: { bytes: 32 * MIB, timeoutMs: 5_000 },
};
