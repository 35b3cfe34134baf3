import { setTimeout as pause } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { apply } from '../apply-patch.ts';
import { ClusterError, connect, type DeletingCluster, dryRun } from '../cluster/client.ts';
import { titleOf } from '../cluster/object.ts';
import { type Endpoint, observePod, servingEndpoints } from '../cluster/serving.ts';
import { loadConfig } from '../config/load.ts';
import { ok, type Result } from '../core/result.ts';
import { diffOf } from '../ensure/diff.ts';
import { type FieldWarning, findDropped, findNewProfiles, samplePodsOf } from '../ensure/kept-fields.ts';
import { namesOf } from '../ensure/objects.ts';
import { type Outcome, reconcile } from '../ensure/reconcile.ts';
import type { DesiredState } from '../ensure/types.ts';
import { policiesBesideWebhook } from '../in-tree/beside.ts';
import { entriesOf } from '../manifests/entries.ts';
import type { CertificateKeeper } from '../manifests/rbac.ts';
import { type Log, openLog } from '../telemetry/logger.ts';
import {
  addClusterFlags,
  certificatesOption,
  operationsPortOption,
  type ServiceTarget,
  serviceOption,
  servingEndpointsOption,
} from './shared/cluster-flags.ts';
import { fail, printError } from './shared/fail.ts';
import { configOption, parseDuration } from './shared/flags.ts';
import { addHelp } from './shared/help.ts';
import { version } from './shared/version.ts';

const duration = (flags: string, description: string, [ms, written]: readonly [number, string]) =>
  new Option(flags, description).argParser(parseDuration).default(ms, written);

/** `cloister ensure`: the only command that writes to the cluster, besides the Reports of `cloister scan --write`. */
export const command: Command = addClusterFlags(
  new Command('ensure')
    .description(
      'Reconciles the API server with the objects that `cloister manifests` prints for a configuration: webhook entries with their caBundle, ' +
        'and policies. Creates and renews the authority and the serving certificate, in the Secrets SERVICE-ca and SERVICE-tls of the ' +
        'namespace of the Service. Entries are written when every ready serving pod runs the version and configuration of this ' +
        'command, and presents a certificate that the entries trust. Where there are no entries yet, one such pod is enough. Run it at install, at each change of the configuration, and every hour: each run does only what ' +
        'is due, and continues where an earlier run ended. Objects with the annotation cloister.dev/hands-off: "true" are not changed, and ' +
        'their differences are reported.',
    )
    .addOption(configOption())
    .addOption(serviceOption(' (required)'))
    .addOption(
      certificatesOption(
        'who manages the certificates: ensure (this command), or files (another tool, such as cert-manager: Secrets and each caBundle are not changed)',
      ).env('CLOISTER_CERTIFICATES'),
    ),
)
  .addOption(operationsPortOption())
  .addOption(servingEndpointsOption())
  .addOption(
    duration(
      '--wait <duration>',
      'how long to wait for the serving pods; if they are not ready by then, the entries are not written and the command fails',
      [300_000, '5m'],
    ),
  )
  .addOption(
    duration(
      '--settle <duration>',
      'how long to wait, after a new authority is published and before it signs serving certificates, so that every API server loads it',
      [10_000, '10s'],
    ),
  )
  .addOption(
    duration(
      '--overlap <duration>',
      'minimum time for which the previous authority stays trusted after a renewal, because a pod may still start with the previous serving certificate',
      [600_000, '10m'],
    ),
  )
  .addOption(new Option('--dry-run', 'write nothing: print the changes as a unified diff, without any private key'))
  .action(run);

addHelp(command, {
  notes: 'Each step is a line of JSON on standard output: what was written, and why.',
  exitStatus: {
    0: 'the cluster has the desired state, except for hands-off objects and for a previous authority that a later run drops; with --dry-run: no differences',
    1: 'the cluster does not have the desired state, and the last line states the reason: the serving pods are not ready after --wait, or the API server rejects a request or cannot be reached; with --dry-run: there are differences, also of hands-off objects, or the cluster cannot be read',
    2: 'the input cannot be used',
  },
  examples: [
    'cloister ensure --config config.yaml --service cloister/cloister',
    'cloister ensure --config config.yaml --service cloister/cloister --dry-run',
    'cloister ensure --config config.yaml --service cloister/cloister --certificates files',
    'cloister manifests --rbac --service cloister/cloister',
  ],
});

interface Flags {
  readonly config?: string;
  readonly service?: ServiceTarget;
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
  const { service } = flags;
  // Commander would report a required flag before an unknown one, which is often the same flag with a typing error.
  if (service === undefined) return fail(self, ['--service is missing: name the Service at which the API server calls Cloister']);
  const desired = await desiredStateOf({ ...flags, service });
  if (!desired.ok) return fail(self, desired.error);
  const cluster = await connect(flags);
  if (!cluster.ok) return fail(self, [cluster.error]);
  process.exitCode = await (flags.dryRun ? printChanges(flags, desired.value, cluster.value) : write(flags, desired.value, cluster.value));
}

/** The desired state of the cluster for a configuration. */
async function desiredStateOf({
  config: file,
  service: target,
  certificates,
  overlap,
}: Flags & { readonly service: ServiceTarget }): Promise<Result<DesiredState, readonly string[]>> {
  const config = await loadConfig(file);
  if (!config.ok) return config;
  return ok({
    service: target.service,
    certificates,
    configurations: entriesOf(config.value, target),
    samples: samplePodsOf(config.value, apply, new Date()),
    policies: policiesBesideWebhook(config.value, target),
    version: version(),
    configuration: config.value.digest,
    overlapMs: overlap,
  });
}

async function write(flags: Flags, desired: DesiredState, cluster: DeletingCluster): Promise<number> {
  const log = openLog('info');
  const code = await attempt(log, async () => {
    if (desired.certificates === 'files')
      log.logger.info('another tool manages the certificates: Secrets and each caBundle are not changed');
    const dependencies = { cluster, observePods: podObserverOf(flags, desired, cluster), now: () => new Date(), pause, logger: log.logger };
    const outcome = await reconcile(desired, dependencies, { settleMs: flags.settle, waitMs: flags.wait });
    return report(log, outcome);
  });
  await log.close();
  return code;
}

function report({ logger }: Log, { writes, plan: { steps, waiting, handsOff, previousAuthorities } }: Outcome): number {
  for (const { object, why } of handsOff) logger.warn({ object: titleOf(object), why }, 'hands off: not changed');
  for (const { certificate, reason } of previousAuthorities) logger.info({ authority: certificate.serialNumber, reason }, 'still trusted');
  for (const { step, until } of waiting) logger.error({ object: titleOf(step.object), until, why: step.why }, 'not written');
  for (const { object, why } of steps) {
    const remedy = `the roles of this identity do not name it: kubectl delete validatingadmissionpolicybinding ${object.metadata.name}`;
    logger.error({ object: titleOf(object), why, remedy }, 'not deleted');
  }
  if (waiting.length > 0 || steps.length > 0) return 1;
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

/** Writes nothing and waits for nothing: steps that would wait are printed with what they wait for. */
async function printChanges(flags: Flags, desired: DesiredState, cluster: DeletingCluster): Promise<number> {
  const { simulated, changes } = dryRun(cluster);
  try {
    const dependencies = {
      cluster: simulated,
      observePods: podObserverOf(flags, desired, cluster),
      now: () => new Date(),
      pause: async () => {},
      logger: SILENT,
    };
    const { plan } = await reconcile({ ...desired, samples: [] }, dependencies, { settleMs: 0, waitMs: 0 });
    const later = plan.waiting.map(({ step, until }) => {
      return `# After this is resolved: ${until.join('; ')}\n${diffOf({ before: step.live, after: { ...step.live, ...step.fields } })}`;
    });
    const handsOff = plan.handsOff.map(
      ({ object, why }) => `# ${titleOf(object)} is marked hands-off and is not changed:\n${why.map((each) => `#   ${each}\n`).join('')}`,
    );
    const written = [
      ...changes().map(({ before, after }) => (after === undefined ? [] : findNewProfiles(before, after))),
      ...plan.waiting.map(({ step }) => findNewProfiles(step.live, step.fields)),
    ].flat();
    for (const sample of desired.samples.filter(({ profile }) => written.includes(profile))) {
      for (const warning of await findDropped(sample, desired.service, cluster)) process.stderr.write(printWarning(warning));
    }
    const parts = [...changes().map(diffOf), ...later, ...handsOff];
    process.stdout.write(parts.join(''));
    return parts.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    process.stderr.write(`${printError(error.message)}\n`);
    return 1;
  }
}

function printWarning({ message, fields: { profile, field, why } }: FieldWarning): string {
  return `warning: profile ${profile}: ${message}: ${field === undefined ? '' : `${field}: `}${why}\n`;
}

function podObserverOf({ servingEndpoints: named, operationsPort }: Flags, { service }: DesiredState, cluster: DeletingCluster) {
  const [servername] = namesOf(service);
  return async () => {
    const endpoints = named ?? (await servingEndpoints(cluster, service, operationsPort));
    return Promise.all(endpoints.map((each) => observePod(each, servername)));
  };
}
