import { stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { FastifyInstance } from 'fastify';
import type { Address } from '../address.ts';
import { apply } from '../apply-patch.ts';
import { loadConfig } from '../config/load.ts';
import type { Result } from '../core/result.ts';
import { LOG_LEVELS, type Log, type LogLevel, openLog, traceOf } from '../telemetry/logger.ts';
import { makeMetrics } from '../telemetry/metrics.ts';
import { makeRecorder } from '../telemetry/recorder.ts';
import { makeClientCheck } from '../tls/client-auth.ts';
import { loadPair, secureContextOf, watchPair } from '../tls/files.ts';
import { buildMetricsServer, buildProbeServer } from '../webhook/http/operations-server.ts';
import { buildServer } from '../webhook/http/server.ts';
import { makeReviewWorker } from '../webhook/http/worker.ts';
import { makeRespond } from '../webhook/review/respond.ts';
import type { WebhookWorkerData } from '../webhook-worker.ts';
import { parseAddress, parseDuration, parseNames } from './shared/flags.ts';
import { version } from './shared/version.ts';

export interface Settings {
  /** Absent: the profile userns with its defaults. */
  readonly config?: string;
  readonly tlsDir: string;
  /** Absent: clients need no certificate. */
  readonly clientCa?: string;
  /** A client certificate must contain at least one of these names; empty: any certificate is accepted. */
  readonly clientName: readonly string[];
  readonly listen: Address;
  readonly operationsListen: Address;
  readonly metricsListen: Address;
  readonly logLevel: LogLevel;
  /** In milliseconds. */
  readonly drainDelay: number;
}

export interface Serving extends BoundAddresses {
  readonly profiles: readonly string[];
}

/** The addresses on which the process listens, as `host:port`. */
interface BoundAddresses {
  readonly listen: string;
  readonly operationsListen: string;
  readonly metricsListen: string;
}

const option = (flags: string, description: string, variable: string) => new Option(flags, description).env(`CLOISTER_${variable}`);

export const command: Command = new Command('serve')
  .description('answer admission reviews over HTTPS, and serve probes and metrics over HTTP')
  .addOption(option('--config <file>', 'configuration file; without it the profile userns is offered with its defaults', 'CONFIG'))
  .addOption(
    option('--tls-dir <dir>', 'folder with tls.crt and tls.key; reloaded when changed (checked twice a second)', 'TLS_DIR').default(
      'certs',
    ),
  )
  .addOption(
    option(
      '--client-ca <file>',
      'file with authorities in PEM; only callers with a certificate that one of them signed are answered; reloaded when changed',
      'CLIENT_CA',
    ),
  )
  .addOption(
    option(
      '--client-name <names>',
      'names, separated by commas (can be repeated); the client certificate must contain at least one of them',
      'CLIENT_NAME',
    )
      .argParser(parseNames)
      .default([], 'any'),
  )
  .addOption(
    option(
      '--listen <host:port>',
      'address for reviews; 0.0.0.0 is every interface, as a pod needs; use [::]:8443 where there is only IPv6',
      'LISTEN',
    )
      .argParser(parseAddress)
      .default(parseAddress('0.0.0.0:8443'), '0.0.0.0:8443'),
  )
  .addOption(
    option(
      '--operations-listen <host:port>',
      'address for the probes /livez and /readyz; port 0 picks a free port, also for the other addresses',
      'OPERATIONS_LISTEN',
    )
      .argParser(parseAddress)
      .default(parseAddress('0.0.0.0:9443'), '0.0.0.0:9443'),
  )
  .addOption(
    option('--metrics-listen <host:port>', 'address for /metrics, which Prometheus scrapes', 'METRICS_LISTEN')
      .argParser(parseAddress)
      .default(parseAddress('0.0.0.0:9444'), '0.0.0.0:9444'),
  )
  .addOption(
    option('--log-level <level>', 'info logs requests that were changed, denied or not understood; debug logs all', 'LOG_LEVEL')
      .choices(LOG_LEVELS)
      .default('info'),
  )
  .addOption(
    option(
      '--drain-delay <duration>',
      'how long to keep serving after SIGTERM, until every API server has learned that this replica stops',
      'DRAIN_DELAY',
    )
      .argParser(parseDuration)
      .default(5_000, '5s'),
  )
  .action(async (settings: Settings) => {
    const serving = await serve(settings);
    if (serving.ok) return;
    process.stderr.write(`${serving.error.join('\n')}\n`);
    process.exitCode = 1;
  });

/**
 * Serves until SIGTERM or SIGINT.
 * @returns the addresses, once it listens, or every problem that prevents the start
 */
export async function serve(settings: Settings): Promise<Result<Serving, readonly string[]>> {
  const config = await loadConfig(settings.config);
  const problems = [...(config.ok ? [] : config.error), ...(await problemsOf(settings))];
  if (!config.ok || problems.length > 0) return { ok: false, error: problems };

  const log = openLog(settings.logLevel);
  const { logger } = log;
  const profiles = [...config.value.profiles.keys()];
  const build = { version: version(), configuration: config.value.digest };
  const metrics = makeMetrics({ profiles, ...build });
  log.onLost(metrics.countLostLogLines);
  exitOnUncaughtException(log);

  const respond = makeRespond(config.value, { apply, now });
  const { tlsDir, clientCa, clientName } = settings;
  const files = { folder: tlsDir, clientCa };
  const loaded = await loadPair(files, now());
  const secure = secureContextOf(loaded.ok ? loaded.value : undefined);
  const worker = makeReviewWorker({
    script: WEBHOOK_WORKER,
    data: { config: config.value.text } satisfies WebhookWorkerData,
    onLost(loss) {
      metrics.countWorkerLoss(loss);
      logger.error({ loss }, 'the worker for large reviews was lost; the next large review starts a new one');
    },
  });
  const recorder = makeRecorder(logger, metrics);
  const webhook = buildServer(respond, {
    recorder,
    worker,
    secure,
    checkClient: clientCa === undefined ? undefined : makeClientCheck(clientName),
  });
  metrics.observeBodyBytes(webhook.bodyBytes);
  const certificate = watchPair(files, loaded, {
    now,
    onPair(pair) {
      webhook.replaceCertificate(secureContextOf(pair));
      metrics.setCertificateExpiry(pair.expires);
      metrics.countCertificateReload('replaced');
      logger.info({ expires: pair.expires }, 'certificate reloaded');
    },
    onProblem(reason) {
      metrics.countCertificateReload('kept');
      logger.error({ reason }, 'new certificate rejected; keeping the current one');
    },
  });
  let isDraining = false;
  const probes = buildProbeServer({ build, notReadyReason, onClose: (reason) => metrics.countClose('operations', reason) });
  const exposition = buildMetricsServer({ ...recorder, onClose: (reason) => metrics.countClose('metrics', reason) });

  const addresses = await listenOn(settings, { reviews: webhook.listen, probes: listenWith(probes), metrics: listenWith(exposition) });
  if (!addresses.ok) {
    certificate.stop();
    await Promise.all([webhook.close(), probes.close(), exposition.close()]);
    return addresses;
  }
  const serving: Serving = { ...addresses.value, profiles };
  logger.info(serving, 'serving');
  for (const warning of config.value.warnings) logger.warn(warning);
  if (loaded.ok) metrics.setCertificateExpiry(loaded.value.expires);
  else logger.error({ reason: loaded.error }, 'not ready: no certificate');

  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  return { ok: true, value: serving };

  function notReadyReason(): string | undefined {
    if (isDraining) return 'draining: this process received a signal to stop';
    const pair = certificate.current();
    if (pair === undefined) return `no certificate: ${certificate.problem()}`;
    if (now() >= pair.expires) return `the certificate expired at ${pair.expires.toISOString()}`;
    return undefined;
  }

  /** Endpoints are updated with a delay: callers that still come are answered, and must reconnect, elsewhere. */
  async function stop(signal: NodeJS.Signals): Promise<void> {
    if (isDraining) return;
    isDraining = true;
    webhook.drain();
    logger.info({ signal, ms: settings.drainDelay }, 'draining');
    await pause(settings.drainDelay);
    await webhook.close();
    await Promise.all([probes.close(), exposition.close()]);
    certificate.stop();
    logger.info('stopped');
    await log.close();
    process.exit(0);
  }
}

// In the built package both files are JavaScript.
const WEBHOOK_WORKER = new URL(`../webhook-worker${extname(import.meta.url)}`, import.meta.url);

/** After an uncaught exception the state is unknown: log and exit. Unhandled rejections arrive here too. */
function exitOnUncaughtException({ logger, close }: Log): void {
  process.once('uncaughtException', async (error) => {
    logger.fatal({ err: traceOf(error) }, 'uncaught exception: stopping');
    await close();
    process.exit(1);
  });
}

const now = () => new Date();

type Listen = (host: string, port: number) => Promise<AddressInfo>;

async function listenOn(
  { listen, operationsListen, metricsListen }: Settings,
  { reviews, probes, metrics }: { readonly reviews: Listen; readonly probes: Listen; readonly metrics: Listen },
): Promise<Result<BoundAddresses, readonly string[]>> {
  const bound = await Promise.all([
    listenOrExplain(listen, { listen: reviews, flag: '--listen' }),
    listenOrExplain(operationsListen, { listen: probes, flag: '--operations-listen' }),
    listenOrExplain(metricsListen, { listen: metrics, flag: '--metrics-listen' }),
  ]);
  const [first, second, third] = bound;
  if (!first.ok || !second.ok || !third.ok) return { ok: false, error: bound.filter((result) => !result.ok).map(({ error }) => error) };
  return { ok: true, value: { listen: first.value, operationsListen: second.value, metricsListen: third.value } };
}

/** As `WebhookServer` listens. */
function listenWith(app: FastifyInstance): Listen {
  return async (host, port) => {
    await app.listen({ host, port });
    return app.server.address() as AddressInfo;
  };
}

async function listenOrExplain(
  { host, port }: Address,
  { listen, flag }: { listen: Listen; flag: string },
): Promise<Result<string, string>> {
  try {
    return { ok: true, value: formatAddress(await listen(host, port)) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'another process listens there' : (code ?? message);
    return { ok: false, error: `cannot listen on ${formatAddress({ address: host, port })}: ${why}; choose another address with ${flag}` };
  }
}

function formatAddress({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The problems of the flags; those of the configuration file are found elsewhere. */
async function problemsOf({ tlsDir, clientCa, clientName }: Settings): Promise<readonly string[]> {
  const folder = `${tlsDir} is no folder: set --tls-dir to the folder with tls.crt and tls.key, or make one with \`cloister certs dev\``;
  const names = '--client-name needs --client-ca: name the authority of the client certificates, or leave out --client-name';
  return [...((await isFolder(tlsDir)) ? [] : [folder]), ...(clientName.length > 0 && clientCa === undefined ? [names] : [])];
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
