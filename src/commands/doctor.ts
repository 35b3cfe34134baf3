import { Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { type ApiConnection, ClusterError, clusterOf, openApi } from '../cluster/client.ts';
import { CONFIG_MAP } from '../cluster/configuration.ts';
import type { Endpoint } from '../cluster/serving.ts';
import { MUTATING_CONFIGURATION, VALIDATING_CONFIGURATION } from '../core/object-names.ts';
import { printConfigured, printUnknownProfile } from '../core/policy.ts';
import { err, ok, type Result } from '../core/result.ts';
import { didYouMean } from '../did-you-mean.ts';
import type { Context, DoctorAnswer, Level } from '../doctor/check.ts';
import { examine, selectChecks } from '../doctor/examine.ts';
import type { Facts } from '../doctor/facts.ts';
import { problemsOfNamed, profileByModeIn } from '../doctor/in-force.ts';
import type { NodeChoice } from '../doctor/proofs.ts';
import { type RbacRule, type Right, rulesOf } from '../doctor/rights.ts';
import { findService, gatherFacts, readVersion } from '../doctor-facts/gather.ts';
import { LABELS } from '../manifests/labels.ts';
import type { DoctorReport } from '../report/doctor/doctor-report.ts';
import { printDoctorJson } from '../report/doctor/json.ts';
import { printDoctorText } from '../report/doctor/text.ts';
import {
  addClusterFlags,
  cloisterNamespaceOption,
  operationsPortOption,
  type ServiceTarget,
  serviceOption,
  servingEndpointsOption,
} from './shared/cluster-flags.ts';
import { fail } from './shared/fail.ts';
import { configOption, parseNamespaces } from './shared/flags.ts';
import { addHelp } from './shared/help.ts';
import { configurationFor } from './shared/policy-settings.ts';
import { version } from './shared/version.ts';

/** `cloister doctor`: whether a cluster can do what its labels promise. */
export const command: Command = addClusterFlags(
  new Command('doctor')
    .description(
      'Checks whether a cluster can do what its labels promise: the API server, the installation of Cloister, its certificates and webhook ' +
        'entries, the namespaces with labels, the nodes with their runtimes, the RuntimeClasses, and other webhooks. Asks the API server in dry-run mode whether it would admit a pod in these ' +
        'namespaces. Changes nothing in the cluster, and with --run nothing but the pods that it creates and deletes.',
    )
    .addOption(configOption('configuration file; without one, the configuration of the chart that is installed in the cluster'))
    .addOption(
      new Option('-n, --namespace <names>', 'namespaces to check, with commas between them (can be repeated); without one, all namespaces')
        .argParser(parseNamespaces)
        .default([]),
    )
    .addOption(cloisterNamespaceOption())
    .option('--profile <id>', 'profile to check; without the flag, all configured profiles are checked')
    .addOption(new Option('-o, --output <format>', 'format of the report').choices(['text', 'json']).default('text'))
    .addOption(
      new Option('--fail-on <level>', 'exit with 1 for an answer of this level or a worse one')
        .choices(['error', 'warning'])
        .default('error'),
    )
    .option('--read-only', 'ask for no dry run, so that no right to create pods is needed')
    .option(
      '--run',
      'prove each wall by pods that run for a moment: in one namespace that enforces the profile, on one node of each kind. The pods are deleted in any case',
    )
    .addOption(
      new Option(
        '--nodes <nodes>',
        'with --run: `all` nodes that can run pods of the profile, or a number of them; without it, one of each kubelet, runtime and operating system',
      ).argParser(parseNodes),
    )
    .option('--image <image>', 'with --run: image of Cloister for the pods; without it, that of the serving pods')
    .option('--deep', 'ask each kubelet for its configuration and its metrics. Needs get on nodes/proxy, which is nearly root on all nodes')
    .option('--print-rbac', 'print the ClusterRole that this command needs with the other flags, and exit')
    .addOption(serviceOption('; without the flag, the one that the webhook entries in the cluster name'))
    .addOption(servingEndpointsOption())
    .addOption(operationsPortOption()),
).action(run);

addHelp(command, {
  notes: 'What cannot be read is reported as unknown, with the missing right, and never counts as ok. Secrets are not read.',
  exitStatus: {
    0: 'no answer is as bad as --fail-on',
    1: 'an answer is',
    2: 'the cluster cannot be reached or read, or the input cannot be used',
  },
  examples: [
    'cloister doctor',
    'cloister doctor --namespace team-a --fail-on warning',
    'cloister doctor --print-rbac | kubectl apply -f -',
    'cloister doctor --serving-endpoints 127.0.0.1:8443/9443',
    'cloister doctor --run --namespace team-a',
    'cloister doctor --run --nodes all -o json',
    'cloister doctor --deep --profile userns',
    'cloister explain psa-level',
  ],
});

interface Flags {
  readonly config?: string;
  readonly cloisterNamespace?: string;
  readonly namespace: readonly string[];
  readonly profile?: string;
  readonly output: 'text' | 'json';
  readonly failOn: 'error' | 'warning';
  readonly readOnly?: boolean;
  readonly run?: boolean;
  readonly deep?: boolean;
  readonly nodes?: NodeChoice;
  readonly image?: string;
  readonly printRbac?: boolean;
  readonly service?: ServiceTarget;
  readonly servingEndpoints?: readonly Endpoint[];
  readonly operationsPort: number;
  readonly kubeconfig?: string;
  readonly context?: string;
}

async function run(flags: Flags, self: Command): Promise<void> {
  const problems = problemsOf(flags);
  if (problems.length > 0) return fail(self, problems);
  const selected = selectChecks({ dryRuns: flags.readOnly !== true, pods: flags.run === true, kubelets: flags.deep === true });
  if (flags.printRbac) {
    const rules = rulesOf([...selected.flatMap(({ needs }) => needs), ...(flags.config === undefined ? CONFIGURATION_RIGHTS : [])]);
    process.stdout.write(stringify(clusterRole(rules), { aliasDuplicateObjects: false }));
    return;
  }
  const api = await openApi({ ...flags, whenForbidden: 'see `cloister doctor --print-rbac`' });
  if (!api.ok) return fail(self, [api.error]);
  try {
    await readVersion(api.value);
    const found = await contextOf(flags, api.value);
    if (!found.ok) return fail(self, found.error);
    const { context, target, origin } = found.value;
    const names = [...new Set(selected.flatMap(({ reads }) => reads))];
    const proofs = { nodes: flags.nodes ?? 'kinds', image: flags.image };
    const facts = await interruptible(flags, (signal) => gatherFacts(names, { ...flags, api: api.value, context, target, proofs, signal }));
    if ('missing' in facts.serverVersion) return fail(self, [facts.serverVersion.missing]);
    const misnamed = 'missing' in facts.namespaces ? [] : problemsOfNamed(facts.namespaces.value, context);
    if (misnamed.length > 0) return fail(self, misnamed);
    const answers = examine(selected, facts, context);
    const report: DoctorReport = { cluster: clusterIn(facts, context, origin), answers };
    process.stdout.write(flags.output === 'json' ? printDoctorJson(report) : printDoctorText(report, process.stdout));
    process.exitCode = failsOn(flags.failOn, answers) ? 1 : 0;
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    fail(self, [error.message]);
  }
}

function problemsOf({ run: runs, readOnly, nodes, image }: Flags): readonly string[] {
  return [
    ...(runs && readOnly ? ['--run creates pods, and --read-only forbids it: leave one of them out'] : []),
    ...(nodes !== undefined && !runs ? ['--nodes has no effect without --run'] : []),
    ...(image !== undefined && !runs ? ['--image has no effect without --run'] : []),
  ];
}

function parseNodes(text: string): NodeChoice {
  if (text === 'all') return 'all';
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new InvalidArgumentError('It must be `all`, or a number from 1.');
  return count;
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Runs a task that cleans up when its signal aborts, and then ends this process by the signal that it got. A second one ends it at once. */
async function interruptible<T>({ run: runs }: Flags, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const interrupt = (name: NodeJS.Signals): void => {
    received = name;
    stopListening();
    if (runs) process.stderr.write('The pods of --run are being deleted. A second signal ends this command at once.\n');
    controller.abort(new Error(`interrupted by ${name}`));
  };
  const stopListening = (): void => {
    for (const name of SIGNALS) process.off(name, interrupt);
  };
  for (const name of SIGNALS) process.on(name, interrupt);
  try {
    return await task(controller.signal);
  } finally {
    stopListening();
    if (received !== undefined) process.kill(process.pid, received);
  }
}

/** For the configuration of the installed chart, and for the webhook configurations that name its namespace. */
const CONFIGURATION_RIGHTS: readonly Right[] = [
  { group: '', resource: 'configmaps', names: [CONFIG_MAP], verbs: ['get'] },
  { group: 'admissionregistration.k8s.io', resource: 'mutatingwebhookconfigurations', names: [MUTATING_CONFIGURATION], verbs: ['get'] },
  { group: 'admissionregistration.k8s.io', resource: 'validatingwebhookconfigurations', names: [VALIDATING_CONFIGURATION], verbs: ['get'] },
];

const clusterRole = (rules: readonly RbacRule[]): object => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'cloister-doctor', labels: LABELS },
  rules,
});

interface Found {
  readonly context: Context;
  readonly target: ServiceTarget;
  readonly origin: string;
}

/** What is checked: the configuration, and the Service that the API server calls. */
async function contextOf(
  { namespace, profile, service: named, ...flags }: Flags,
  api: ApiConnection,
): Promise<Result<Found, readonly string[]>> {
  const now = new Date();
  const found = await configurationFor(flags, clusterOf(api), now);
  if (!found.ok) return found;
  const { config, origin, ownNamespace } = found.value;
  if (profile !== undefined && !config.profiles.has(profile)) {
    const guess = didYouMean(profile, config.profiles.keys());
    return err([`--profile: ${printUnknownProfile(profile)} in ${origin}${guess}; ${printConfigured(config.profiles)}`]);
  }
  const target =
    named ??
    (await findService(api)) ??
    (ownNamespace === undefined ? undefined : { service: { namespace: ownNamespace, name: 'cloister' } });
  if (target === undefined) return err(['no webhook entry in the cluster names a Service: name the Service of Cloister with --service']);
  const context = {
    ...config,
    version: version(),
    service: target.service,
    now,
    ...(namespace.length > 0 && { only: namespace }),
    ...(profile !== undefined && { profile }),
  };
  return ok({ context, target, origin });
}

function clusterIn({ serverVersion, nodes, namespaces }: Facts, context: Context, origin: string): DoctorReport['cluster'] {
  const inForce = 'missing' in namespaces ? undefined : namespaces.value.map((each) => profileByModeIn(each, context));
  const count = (mode: 'enforce' | 'warn' | 'audit'): number => (inForce ?? []).filter((profiles) => profiles[mode] !== undefined).length;
  return {
    version: 'missing' in serverVersion ? '' : serverVersion.value.text,
    nodes: 'missing' in nodes ? undefined : nodes.value.length,
    cloister: context.version,
    configuration: context.digest,
    origin,
    profiles: [...context.profiles.values()].map(({ id, grant }) => ({ id, grant })),
    namespaces: inForce && { enforce: count('enforce'), warn: count('warn'), audit: count('audit') },
  };
}

const FAILING: Readonly<Record<Flags['failOn'], readonly Level[]>> = { error: ['error'], warning: ['error', 'warning'] };

const failsOn = (level: Flags['failOn'], answers: readonly DoctorAnswer[]): boolean =>
  answers.some((each) => FAILING[level].includes(each.level));
