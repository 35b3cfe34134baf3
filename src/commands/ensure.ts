import { setTimeout as pause } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Cluster, ClusterError, connect, dryRun } from '../cluster/client.ts';
import { titleOf } from '../cluster/object.ts';
import { type Endpoint, observePod, servingEndpoints } from '../cluster/serving.ts';
import { loadConfig } from '../config.ts';
import { entriesOf } from '../manifests/entries.ts';
import { policies } from '../manifests/policies.ts';
import { CERTIFICATE_KEEPERS, type CertificateKeeper } from '../manifests/rbac.ts';
import { type Log, openLog } from '../telemetry/logger.ts';
import { diffOf } from './ensure-diff.ts';
import { namesOf, type Wanted } from './ensure-plan.ts';
import { bring, type Outcome } from './ensure-run.ts';
import { serviceOf } from './manifests.ts';
import { parseAddress, parseDuration } from './shared/flags.ts';
import { version } from './shared/version.ts';

const option = (flags: string, description: string, variable: string) => new Option(flags, description).env(`CLOISTER_${variable}`);
const duration = (flags: string, description: string, [ms, written]: readonly [number, string]) =>
  new Option(flags, description).argParser(parseDuration).default(ms, written);

/** `cloister ensure`: the one writer of the cluster side. */
export const command: Command = new Command('ensure')
  .summary('bring the cluster to what a configuration says, and keep its certificates')
  .description(
    'Brings the API server to what `cloister manifests` prints for a configuration: webhook entries with their caBundle, and policies. ' +
      'It makes and renews the authority and the serving certificate, in the Secrets SERVICE-ca and SERVICE-tls of the namespace of the ' +
      'Service. Entries are written once every ready serving pod runs the same version and configuration and presents a certificate that ' +
      'the entries trust. Run it at install, at each change of the configuration, and every hour: it does what is due and no more, and ' +
      'goes on where a run before it ended. Objects with the annotation cloister.dev/hands-off: "true" are left as they are, and how ' +
      'they differ is told.',
  )
  .addOption(option('--config <file>', 'configuration file (without one: userns alone, with its defaults)', 'CONFIG'))
  .addOption(
    option(
      '--service <namespace/name[:port]>',
      'Service by which the API server reaches Cloister (port: 443)',
      'SERVICE',
    ).makeOptionMandatory(),
  )
  .addOption(
    option(
      '--certificates <keeper>',
      'who keeps the certificates: ensure (this command), or files (somebody else, such as cert-manager: Secrets are not touched, and each caBundle stays as it is)',
      'CERTIFICATES',
    )
      .choices(CERTIFICATE_KEEPERS)
      .default('ensure'),
  )
  .addOption(new Option('--kubeconfig <file>', "kubeconfig (without one: KUBECONFIG, ~/.kube/config, or the pod's service account)"))
  .addOption(new Option('--context <name>', 'context of the kubeconfig (without one: its current one)'))
  .addOption(
    option('--operations-port <port>', 'port of probes and metrics of the serving pods', 'OPERATIONS_PORT')
      .argParser(parsePort)
      .default(9443),
  )
  .addOption(
    new Option(
      '--serving-endpoints <host:port/operations-port,...>',
      "the serving pods, where they are not to be found by the Service's EndpointSlices",
    ).argParser(parseEndpoints),
  )
  .addOption(duration('--wait <duration>', 'how long to wait for the serving pods before entries are written', [300_000, '5m']))
  .addOption(
    duration('--settle <duration>', 'how long every API server may take to hear of a new authority, before it signs what they are shown', [
      10_000,
      '10s',
    ]),
  )
  .addOption(
    duration('--overlap <duration>', 'how long after a new serving certificate a pod may still start with the one before it', [
      600_000,
      '10m',
    ]),
  )
  .addOption(new Option('--dry-run', 'write nothing: print what would change, as a unified diff without any key'))
  .addHelpText(
    'after',
    `
Each step is a line of JSON on standard output: what was written, and why.

Exit status: 0 the cluster is as the configuration says, but for what is marked hands-off, and an authority on its way out, which a later run
lets go; 1 it is not, and the last line says why: the serving pods are not as far after --wait, the API server refuses or cannot be
reached; 2 the input cannot be used. With --dry-run: 0 nothing differs, 1 something does, hands-off or not, or cannot be read.

Examples:
  cloister ensure --config config.yaml --service cloister/cloister
  cloister ensure --config config.yaml --service cloister/cloister --dry-run
  cloister ensure --config config.yaml --service cloister/cloister --certificates files
  cloister manifests --rbac --service cloister/cloister
`,
  )
  .action(run);

interface Flags {
  readonly config?: string;
  readonly service: string;
  readonly certificates: CertificateKeeper;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly operationsPort: number;
  readonly servingEndpoints?: readonly Endpoint[];
  /** Milliseconds, as the next two. */
  readonly wait: number;
  readonly settle: number;
  readonly overlap: number;
  readonly dryRun?: boolean;
}

async function run(flags: Flags, self: Command): Promise<void> {
  const wanted = await wantedOf(flags);
  if (!wanted.ok) return self.error(wanted.error.map((each) => `error: ${each}`).join('\n'), { exitCode: 2 });
  const cluster = await connect(flags);
  if (!cluster.ok) return self.error(`error: ${cluster.error}`, { exitCode: 2 });
  process.exitCode = await (flags.dryRun ? show(flags, wanted.value, cluster.value) : write(flags, wanted.value, cluster.value));
}

/** What a configuration asks of a cluster. */
async function wantedOf({ config: file, service: written, certificates, overlap }: Flags) {
  const config = await loadConfig(file);
  const target = serviceOf(written);
  if (!config.ok || !target.ok) return { ok: false, error: [config, target].flatMap((each) => (each.ok ? [] : each.error)) } as const;
  const wanted: Wanted = {
    service: target.value.service,
    certificates,
    configurations: entriesOf(config.value, target.value),
    policies: policies(),
    version: version(),
    configuration: config.value.digest,
    overlapMs: overlap,
  };
  return { ok: true, value: wanted } as const;
}

async function write(flags: Flags, wanted: Wanted, cluster: Cluster): Promise<number> {
  const log = openLog('info');
  const code = await attempt(log, async () => {
    if (wanted.certificates === 'files')
      log.logger.info('certificates are kept by somebody else: Secrets are not touched, and each caBundle stays as it is');
    const world = { cluster, askServers: askerOf(flags, wanted, cluster), now: () => new Date(), pause, logger: log.logger };
    return report(log, await bring(wanted, world, { settleMs: flags.settle, waitMs: flags.wait }));
  });
  await log.close();
  return code;
}

function report({ logger }: Log, { writes, plan: { waiting, left, beside } }: Outcome): number {
  for (const { object, why } of left) logger.warn({ object: titleOf(object), why }, 'hands off: left as it is');
  for (const { certificate, reason } of beside) logger.info({ authority: certificate.serialNumber, reason }, 'still trusted');
  for (const { step, until } of waiting) logger.error({ object: titleOf(step.object), until, why: step.why }, 'not written');
  if (waiting.length > 0) return 1;
  logger.info({ writes }, 'done');
  return 0;
}

async function attempt({ logger }: Log, task: () => Promise<number>): Promise<number> {
  try {
    return await task();
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    logger.error({ problem: error.message }, 'not done');
    return 1;
  }
}

const SILENT = { info: () => {}, warn: () => {} };

/** Nothing is written, and nobody waits: what would have to, is shown with what it waits for. */
async function show(flags: Flags, wanted: Wanted, cluster: Cluster): Promise<number> {
  const { simulated, changes } = dryRun(cluster);
  try {
    const world = {
      cluster: simulated,
      askServers: askerOf(flags, wanted, cluster),
      now: () => new Date(),
      pause: async () => {},
      logger: SILENT,
    };
    const { plan } = await bring(wanted, world, { settleMs: 0, waitMs: 0 });
    const later = plan.waiting.map(({ step, until }) => {
      return `# Only when this has passed: ${until.join('; ')}\n${diffOf(step.live, { ...step.live, ...step.fields })}`;
    });
    const left = plan.left.map(
      ({ object, why }) => `# ${titleOf(object)} is marked hands-off and stays as it is:\n${why.map((each) => `#   ${each}\n`).join('')}`,
    );
    const told = [...changes().map(({ before, after }) => diffOf(before, after)), ...later, ...left];
    process.stdout.write(told.join(''));
    return told.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    return 1;
  }
}

function askerOf({ servingEndpoints: named, operationsPort }: Flags, { service }: Wanted, cluster: Cluster) {
  const [servername] = namesOf(service);
  return async () => {
    const endpoints = named ?? (await servingEndpoints(cluster, service, operationsPort));
    return Promise.all(endpoints.map((each) => observePod(each, servername)));
  };
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('It must be a number from 1 to 65535.');
  return port;
}

function parseEndpoints(text: string): readonly Endpoint[] {
  return text.split(',').map((each) => {
    const slash = each.lastIndexOf('/');
    if (slash === -1) throw new InvalidArgumentError('Each must be HOST:PORT/OPERATIONS-PORT, like 127.0.0.1:8443/9443.');
    return { ...parseAddress(each.slice(0, slash)), operationsPort: parsePort(each.slice(slash + 1)), isReady: true };
  });
}
