import { stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Command, type Option } from 'commander';
import type { FastifyInstance } from 'fastify';
import { type Address, printAddress } from '../address.ts';
import { apply } from '../apply-patch.ts';
import { loadConfig } from '../config/load.ts';
import { err, ok, type Result } from '../core/result.ts';
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
import { fail } from './shared/fail.ts';
import { configOption, flagWithVariable, parseAddress, parseDuration, parseNames } from './shared/flags.ts';
import { addHelp } from './shared/help.ts';
import { version } from './shared/version.ts';

export interface Settings {
  /** Absent: only the profile userns exists, with its defaults. */
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

export const command: Command = new Command('serve')
  .description('Answers admission reviews over HTTPS, and serves probes and metrics over HTTP, until SIGTERM.')
  .addOption(configOption())
  .addOption(
    flagWithVariable(
      '--tls-dir <dir>',
      'folder with tls.crt and tls.key; reloaded when changed (checked twice a second)',
      'TLS_DIR',
    ).default('certs'),
  )
  .addOption(
    flagWithVariable(
      '--client-ca <file>',
      'PEM file with authorities; a caller is answered only if one of them signed its certificate; reloaded when changed',
      'CLIENT_CA',
    ),
  )
  .addOption(
    flagWithVariable(
      '--client-name <names>',
      'names, separated by commas (can be repeated); the client certificate must contain at least one of them',
      'CLIENT_NAME',
    )
      .argParser(parseNames)
      .default([], 'any'),
  )
  .addOption(
    addressOption(
      '--listen',
      ['LISTEN', '0.0.0.0:8443'],
      'address for reviews; 0.0.0.0 listens on every interface, which a pod needs; use [::]:8443 where there is only IPv6',
    ),
  )
  .addOption(
    addressOption(
      '--operations-listen',
      ['OPERATIONS_LISTEN', '0.0.0.0:9443'],
      'address for the probes /livez and /readyz; port 0 picks a free port (the other addresses accept 0 too)',
    ),
  )
  .addOption(addressOption('--metrics-listen', ['METRICS_LISTEN', '0.0.0.0:9444'], 'address for /metrics, which Prometheus scrapes'))
  .addOption(
    flagWithVariable(
      '--log-level <level>',
      'at info, the log contains the requests whose object was changed or denied, or could not be judged; at debug, all requests',
      'LOG_LEVEL',
    )
      .choices(LOG_LEVELS)
      .default('info'),
  )
  .addOption(
    flagWithVariable(
      '--drain-delay <duration>',
      'how long to keep serving after SIGTERM, so that every API server can learn that this replica is stopping',
      'DRAIN_DELAY',
    )
      .argParser(parseDuration)
      .default(5_000, '5s'),
  )
  .action(run);

addHelp(command, {
  notes: 'The log goes to standard output, as one line of JSON for each record.',
  exitStatus: {
    0: 'stopped by SIGTERM or SIGINT, after the drain delay',
    1: 'not started: standard error lists every problem of the configuration, the flags and the addresses; or stopped by a bug, which the last line of the log reports',
    2: 'the value of a flag cannot be parsed',
  },
  examples: [
    'cloister serve --config config.yaml --tls-dir /etc/cloister/tls',
    'cloister certs dev && cloister serve --listen 127.0.0.1:8443 --operations-listen 127.0.0.1:9443 --log-level debug',
  ],
});

function addressOption(flag: string, [variable, address]: readonly [variable: string, address: string], description: string): Option {
  return flagWithVariable(`${flag} <host:port>`, description, variable).argParser(parseAddress).default(parseAddress(address), address);
}

async function run(settings: Settings, self: Command): Promise<void> {
  const serving = await serve(settings);
  if (!serving.ok) fail(self, serving.error, 1);
}

/**
 * Serves until SIGTERM or SIGINT.
 * @returns the addresses, once it listens, or every problem that prevents the start
 */
export async function serve(settings: Settings): Promise<Result<Serving, readonly string[]>> {
  const config = await loadConfig(settings.config);
  const problems = [...(config.ok ? [] : config.error), ...(await problemsOf(settings))];
  if (!config.ok || problems.length > 0) return err(problems);

  const log = openLog(settings.logLevel);
  const { logger } = log;
  const profiles = [...config.value.profiles.keys()];
  const build = { version: version(), configuration: config.value.digest };
  const metrics = makeMetrics({ profiles, ...build });
  log.onLost(metrics.countLostLogLines);
  exitOnUncaughtException(log);

  const respond = makeRespond(config.value, { apply, now, repairsInPart: config.value.backstop });
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
  return ok(serving);

  function notReadyReason(): string | undefined {
    if (isDraining) return 'draining: this process received a signal to stop';
    const pair = certificate.current();
    if (pair === undefined) return `no certificate: ${certificate.problem()}`;
    if (now() >= pair.expires) return `the certificate expired at ${pair.expires.toISOString()}`;
    return undefined;
  }

  /**
   * The cluster removes this pod from the endpoints with a delay. Until then callers still connect: they get answers, and each answer closes its
   * connection, so that the caller reconnects to another replica.
   */
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

// The worker has the extension of this file: `.ts` in the sources, `.js` in the built package.
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
  servers: { readonly reviews: Listen; readonly probes: Listen; readonly metrics: Listen },
): Promise<Result<BoundAddresses, readonly string[]>> {
  const bound = await Promise.all([
    listenOrExplain(listen, { listen: servers.reviews, flag: '--listen' }),
    listenOrExplain(operationsListen, { listen: servers.probes, flag: '--operations-listen' }),
    listenOrExplain(metricsListen, { listen: servers.metrics, flag: '--metrics-listen' }),
  ]);
  const [reviews, probes, metrics] = bound;
  if (!reviews.ok || !probes.ok || !metrics.ok) return err(bound.flatMap((result) => (result.ok ? [] : [result.error])));
  return ok({ listen: reviews.value, operationsListen: probes.value, metricsListen: metrics.value });
}

/** Listens in the same way as `WebhookServer`. */
function listenWith(app: FastifyInstance): Listen {
  return async (host, port) => {
    await app.listen({ host, port });
    return app.server.address() as AddressInfo;
  };
}

async function listenOrExplain(wanted: Address, { listen, flag }: { listen: Listen; flag: string }): Promise<Result<string, string>> {
  try {
    const { address: host, port } = await listen(wanted.host, wanted.port);
    return ok(printAddress({ host, port }));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'another process listens there' : (code ?? message);
    return err(`cannot listen on ${printAddress(wanted)}: ${why}; choose another address with ${flag}`);
  }
}

/** The problems of the flags. `loadConfig` reports those of the configuration file. */
async function problemsOf({ tlsDir, clientCa, clientName }: Settings): Promise<readonly string[]> {
  const folder = `${tlsDir} is not a folder: set --tls-dir to the folder with tls.crt and tls.key, or make one with \`cloister certs dev\``;
  const names = '--client-name needs --client-ca: name the authority of the client certificates, or leave out --client-name';
  return [...((await isFolder(tlsDir)) ? [] : [folder]), ...(clientName.length > 0 && clientCa === undefined ? [names] : [])];
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
