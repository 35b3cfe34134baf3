import { stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { Address } from '../address.ts';
import { apply } from '../apply-patch.ts';
import { loadConfig } from '../config.ts';
import type { Result } from '../core/result.ts';
import { LOG_LEVELS, type Log, type LogLevel, openLog, traceOf } from '../telemetry/logger.ts';
import { makeMetrics } from '../telemetry/metrics.ts';
import { makeRecorder } from '../telemetry/recorder.ts';
import { makeClientCheck } from '../tls/client-auth.ts';
import { loadPair, secureContextOf, watchPair } from '../tls/files.ts';
import { buildOperations } from '../webhook/operations.ts';
import { makeRespond } from '../webhook/respond.ts';
import { buildServer } from '../webhook/server.ts';
import { makeThread } from '../webhook/thread.ts';
import type { ThreadData } from './judging-thread.ts';
import { parseAddress, parseDuration, parseNames } from './shared/flags.ts';
import { version } from './shared/version.ts';

export interface Settings {
  /** Absent: userns alone, with its defaults. */
  readonly config?: string;
  readonly tlsDir: string;
  /** Absent: clients need no certificate. */
  readonly clientCa?: string;
  /** Of which a client's certificate must bear one; none: any will do. */
  readonly clientName: readonly string[];
  readonly listen: Address;
  readonly operationsListen: Address;
  readonly logLevel: LogLevel;
  /** Milliseconds. */
  readonly drainDelay: number;
}

export interface Serving extends Taken {
  readonly profiles: readonly string[];
}

/** The addresses that were taken, as `host:port`. */
interface Taken {
  readonly listen: string;
  readonly operationsListen: string;
}

const option = (flags: string, description: string, variable: string) => new Option(flags, description).env(`CLOISTER_${variable}`);

export const command: Command = new Command('serve')
  .description('answer the reviews of an API server over HTTPS, and probes and metrics over HTTP')
  .addOption(option('--config <file>', 'configuration; without it the profile userns is offered, with its defaults', 'CONFIG'))
  .addOption(
    option(
      '--tls-dir <dir>',
      'folder with tls.crt and tls.key; looked at twice a second, and taken up when they change',
      'TLS_DIR',
    ).default('certs'),
  )
  .addOption(
    option(
      '--client-ca <file>',
      'authorities, in PEM: only callers with a certificate of theirs are answered; looked at likewise',
      'CLIENT_CA',
    ),
  )
  .addOption(
    option(
      '--client-name <names>',
      'names, separated by commas, of which such a certificate must bear one; can be given again',
      'CLIENT_NAME',
    )
      .argParser(parseNames)
      .default([], 'any'),
  )
  .addOption(
    option(
      '--listen <host:port>',
      'where reviews come in; 0.0.0.0 is every interface, as a pod needs, [::]:8443 where there is only IPv6',
      'LISTEN',
    )
      .argParser(parseAddress)
      .default(parseAddress('0.0.0.0:8443'), '0.0.0.0:8443'),
  )
  .addOption(
    option('--operations-listen <host:port>', '/livez, /readyz and /metrics; port 0, here too, picks a free one', 'OPERATIONS_LISTEN')
      .argParser(parseAddress)
      .default(parseAddress('0.0.0.0:9443'), '0.0.0.0:9443'),
  )
  .addOption(
    option('--log-level <level>', 'info tells what was changed, denied or not understood; debug also the rest', 'LOG_LEVEL')
      .choices(LOG_LEVELS)
      .default('info'),
  )
  .addOption(
    option('--drain-delay <duration>', 'how long to go on serving after SIGTERM, until every API server has heard of it', 'DRAIN_DELAY')
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
 * @returns where, once it listens, or everything that keeps it from starting
 */
export async function serve(settings: Settings): Promise<Result<Serving, readonly string[]>> {
  const config = await loadConfig(settings.config);
  const problems = [...(config.ok ? [] : config.error), ...(await problemsOf(settings))];
  if (!config.ok || problems.length > 0) return { ok: false, error: problems };

  const log = openLog(settings.logLevel);
  const { logger } = log;
  const profiles = [...config.value.profiles.keys()];
  const metrics = makeMetrics({ profiles, version: version(), configuration: config.value.digest });
  log.onLost(metrics.logLinesLost);
  dieOfBugs(log);

  const respond = makeRespond(config.value, { apply, now });
  const { tlsDir, clientCa, clientName } = settings;
  const files = { folder: tlsDir, clientCa };
  const loaded = await loadPair(files, now());
  const secure = secureContextOf(loaded.ok ? loaded.value : undefined);
  const thread = makeThread({
    script: JUDGING_THREAD,
    data: { config: config.value.text } satisfies ThreadData,
    onLost(loss) {
      metrics.threadLost(loss);
      logger.error({ loss }, 'the thread for large reviews was lost; the next such review has a new one');
    },
  });
  const recorder = { ...makeRecorder(logger, metrics), shed: metrics.shed };
  const webhook = buildServer(respond, {
    recorder,
    thread,
    secure,
    checkClient: clientCa === undefined ? undefined : makeClientCheck(clientName),
  });
  metrics.bodyBytes(webhook.bodyBytes);
  const certificate = watchPair(files, loaded, {
    now,
    onPair(pair) {
      webhook.replaceCertificate(secureContextOf(pair));
      metrics.certificateExpires(pair.expires);
      metrics.certificateReloaded('replaced');
      logger.info({ expires: pair.expires }, 'new certificate taken up');
    },
    onProblem(reason) {
      metrics.certificateReloaded('kept');
      logger.error({ reason }, 'new certificate files are no good; the certificate before them stays');
    },
  });
  let isDraining = false;
  const operations = buildOperations({ metrics: recorder, notReady });

  const addresses = await listenOn(settings, webhook.listen, async (host, port) => {
    await operations.listen({ host, port });
    return operations.server.address() as AddressInfo;
  });
  if (!addresses.ok) {
    certificate.stop();
    await Promise.all([webhook.close(), operations.close()]);
    return addresses;
  }
  const serving: Serving = { ...addresses.value, profiles };
  logger.info(serving, 'serving');
  for (const warning of config.value.warnings) logger.warn(warning);
  if (loaded.ok) metrics.certificateExpires(loaded.value.expires);
  else logger.error({ reason: loaded.error }, 'not ready: no certificate to serve with');

  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  return { ok: true, value: serving };

  function notReady(): string | undefined {
    if (isDraining) return 'draining: this process was told to stop';
    const pair = certificate.current();
    if (pair === undefined) return `no certificate: ${certificate.problem()}`;
    if (now() >= pair.expires) return `the certificate expired at ${pair.expires.toISOString()}`;
    return undefined;
  }

  /** Endpoints are slow to forget a pod: whoever still comes is served, and told to connect anew, elsewhere. */
  async function stop(signal: NodeJS.Signals): Promise<void> {
    if (isDraining) return;
    isDraining = true;
    webhook.drain();
    logger.info({ signal, ms: settings.drainDelay }, 'draining');
    await pause(settings.drainDelay);
    await webhook.close();
    await operations.close();
    certificate.stop();
    logger.info('stopped');
    await log.close();
    process.exit(0);
  }
}

// Compiled, both are JavaScript.
const JUDGING_THREAD = new URL(import.meta.url.replace(/serve(\.[jt]s)$/, 'judging-thread$1'));

/** What nobody caught leaves the process in a state that nobody thought of. Unhandled rejections arrive here too. */
function dieOfBugs({ logger, close }: Log): void {
  process.once('uncaughtException', async (error) => {
    logger.fatal({ err: traceOf(error) }, 'a bug: stopping');
    await close();
    process.exit(1);
  });
}

const now = () => new Date();

type Listen = (host: string, port: number) => Promise<AddressInfo>;

async function listenOn(
  { listen, operationsListen }: Settings,
  webhook: Listen,
  operations: Listen,
): Promise<Result<Taken, readonly string[]>> {
  const taken = await Promise.all([
    take(listen, { listen: webhook, flag: '--listen' }),
    take(operationsListen, { listen: operations, flag: '--operations-listen' }),
  ]);
  const problems = taken.filter((each) => !each.ok).map(({ error }) => error);
  const [first, second] = taken;
  if (!first?.ok || !second?.ok) return { ok: false, error: problems };
  return { ok: true, value: { listen: first.value, operationsListen: second.value } };
}

async function take({ host, port }: Address, { listen, flag }: { listen: Listen; flag: string }): Promise<Result<string, string>> {
  try {
    return { ok: true, value: print(await listen(host, port)) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'something else listens there' : (code ?? message);
    return { ok: false, error: `cannot listen on ${print({ address: host, port })}: ${why}; choose another address with ${flag}` };
  }
}

function print({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** What the call gets wrong, the configuration file apart. */
async function problemsOf({ tlsDir, clientCa, clientName }: Settings): Promise<readonly string[]> {
  const folder = `${tlsDir} is no folder: name the one with tls.crt and tls.key with --tls-dir, or make one with \`cloister certs dev\``;
  const names = '--client-name says whose certificates are taken: name their authority with --client-ca, or leave it out';
  return [...((await isFolder(tlsDir)) ? [] : [folder]), ...(clientName.length > 0 && clientCa === undefined ? [names] : [])];
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
