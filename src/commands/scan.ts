import { performance } from 'node:perf_hooks';
import { Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { type ApiConnection, type Cluster, ClusterError, clusterOf, openApi } from '../cluster/client.ts';
import { CONFIG_MAP, findConfiguration } from '../cluster/configuration.ts';
import { observePod, servingEndpoints } from '../cluster/serving.ts';
import { loadConfig, parseConfig } from '../config/load.ts';
import { SYSTEM_NAMESPACES } from '../core/governance.ts';
import { GRANTS, type Grant } from '../core/requirements.ts';
import { err, ok, type Result } from '../core/result.ts';
import { isObject } from '../core/shape.ts';
import { scanRoles } from '../manifests/rbac.ts';
import { failsScan, SCAN_FAIL_ON, type ScanFailOn, scanFormats } from '../report/scan/formats.ts';
import type { ScanReport } from '../report/scan/scan-report.ts';
import { printScanSummary } from '../report/scan/text.ts';
import { scan } from '../scan/scan.ts';
import type { ScanSettings } from '../scan/types.ts';
import { addClusterFlags } from './shared/cluster-flags.ts';
import { fail } from './shared/fail.ts';
import { configOption, parseDuration, parseNames, parseNamespace } from './shared/flags.ts';
import { addHelp } from './shared/help.ts';
import { DEFAULTS, type FoundConfiguration, selectProfiles } from './shared/policy-settings.ts';

const MAX_PAGE_SIZE = 1_000;
/** The port of the probes of the chart's pods. */
const OPERATIONS_PORT = 9_443;
const SERVICE = 'cloister';
const WHEN_FORBIDDEN = 'give this identity the rights that `cloister scan --print-rbac` prints';

/** `cloister scan`: the findings in pods that run, and whether their walls are there. */
export const command: Command = addClusterFlags(
  new Command('scan')
    .description(
      'Judges the pods that run now by the profiles that are in force in their namespaces, and checks whether the wall of each pod is there: what its node, its ' +
        'RuntimeClass and its events say. The verdict of a pod is clean, short (a part of its grant is missing), escapes (a rule is broken) or unjudged. Its ' +
        'wall stands, is claimed (nothing proves it), is missing, is none (the pod asks for none), or is down (the pod does not run). Only reads.',
    )
    .addOption(
      new Option('-n, --namespace <names>', 'namespaces, with commas between them (can be repeated); without one, all that are governed')
        .argParser(parseNamespaces)
        .default([]),
    )
    .option('-l, --selector <selector>', 'label selector of pods')
    .option(
      '--profile <id>',
      'judge by this profile, as if the namespaces enforced it: shows what a label would change. Needs --namespace or --selector',
    )
    .addOption(new Option('--grant <grant>', 'with --profile: grant to judge by; without it, that of the profile').choices(GRANTS))
    .addOption(configOption('configuration file; without one, the configuration of the chart that is installed in the cluster'))
    .addOption(
      new Option(
        '--cloister-namespace <name>',
        'namespace of the chart; default: the namespace of the Service that the webhook configurations call',
      ).argParser(parseNamespace),
    )
    .addOption(
      new Option('-o, --output <format>', 'output format; the exit status does not depend on it')
        .choices([...scanFormats.keys()])
        .default('text'),
    )
    .option('--all', 'with -o text and wide: print pods without findings, too')
    .addOption(
      new Option(
        '--fail-on <finding>',
        'exit with 1 at: escape (a pod that escapes, or cannot be judged); wall (or a wall that is missing); promise (or a pod that is short of its grant); ' +
          'never. Pods in namespaces that only warn or audit do not count',
      )
        .choices(SCAN_FAIL_ON)
        .default('wall'),
    )
    .addOption(
      new Option('--page-size <pods>', `pods in one page of a list, at most ${MAX_PAGE_SIZE}`).argParser(parsePageSize).default(100),
    )
    .addOption(new Option('--timeout <duration>', 'how long the scan may take').argParser(parseDuration).default(300_000, '5m')),
)
  .option('--print-rbac', 'print the permissions that a scan with these flags needs, as roles without bindings, and read nothing')
  .action(run);

addHelp(command, {
  notes:
    'The table is on standard output. Counts, notes and what could not be read are on standard error. Without permission for nodes, RuntimeClasses or events, ' +
    'the scan is complete and no wall is proven.',
  exitStatus: {
    0: 'the scan is complete, and what --fail-on names is not there',
    1: 'the scan is complete, and what --fail-on names is there',
    2: 'a flag or the configuration cannot be used, or the scan is incomplete: what was read is printed',
  },
  examples: [
    'cloister scan',
    'cloister scan -n team-a,team-b -o wide --all',
    'cloister scan -n legacy --profile userns --grant sudo',
    'cloister scan -o json --fail-on escape > scan.json',
    'cloister scan --print-rbac | kubectl apply -f -',
  ],
});

interface Flags {
  readonly namespace: readonly string[];
  readonly selector?: string;
  readonly profile?: string;
  readonly grant?: Grant;
  readonly config?: string;
  readonly cloisterNamespace?: string;
  readonly output: string;
  readonly all?: boolean;
  readonly failOn: ScanFailOn;
  readonly pageSize: number;
  /** Milliseconds. */
  readonly timeout: number;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly printRbac?: boolean;
}

async function run(flags: Flags, self: Command): Promise<void> {
  const problems = problemsOf(flags);
  if (problems.length > 0) return fail(self, problems);
  if (flags.printRbac) {
    process.stdout.write(printRoles(flags));
    return;
  }
  const format = scanFormats.get(flags.output);
  if (format === undefined) throw new Error(`there is no format ${flags.output}`);
  const report = await reportOf(flags);
  if (!report.ok) return fail(self, report.error);
  process.stdout.write(format.print(report.value, { all: flags.all === true }));
  if (format.isForPeople) process.stderr.write(printScanSummary(report.value));
  const { incomplete } = report.value;
  if (incomplete.length > 0) return fail(self, [...incomplete, 'the scan is incomplete']);
  if (failsScan(report.value, flags.failOn)) process.exitCode = 1;
}

function problemsOf({ namespace, selector, profile, grant, cloisterNamespace }: Flags): readonly string[] {
  const excluded = namespace.filter((name) => SYSTEM_NAMESPACES.includes(name) || name === cloisterNamespace);
  return [
    ...excluded.map((name) => `--namespace ${name}: Cloister never governs this namespace, and does not scan it`),
    ...(grant !== undefined && profile === undefined ? ['--grant has no effect without --profile'] : []),
    ...(profile !== undefined && namespace.length === 0 && selector === undefined
      ? ['--profile needs --namespace or --selector: name the pods that are judged by it']
      : []),
  ];
}

function printRoles({ namespace: namespaces, cloisterNamespace, config }: Flags): string {
  const configMap = config === undefined ? CONFIG_MAP : undefined;
  return scanRoles({ namespaces, cloisterNamespace, configMap })
    .map((role) => `---\n${stringify(role, { aliasDuplicateObjects: false })}`)
    .join('');
}

async function reportOf(flags: Flags): Promise<Result<ScanReport, readonly string[]>> {
  const time = new Date();
  const start = performance.now();
  const api = await openApi({ ...flags, whenForbidden: WHEN_FORBIDDEN });
  if (!api.ok) return err([api.error]);
  const cluster = clusterOf(api.value);
  try {
    // The first request: without an API server, the command ends here, and repeats nothing.
    const version = await readVersion(api.value);
    const found = await configurationFor(flags, cluster, time);
    if (!found.ok) return found;
    const { ownNamespace } = found.value;
    const selected = selectProfiles(found.value, flags);
    if (!selected.ok) return selected;
    const { exemptions, governance, digest } = found.value.config;
    const settings: ScanSettings = {
      profiles: selected.value.profiles,
      exemptions,
      governance,
      preview: selected.value.profile,
      namespaces: flags.namespace,
      labels: flags.selector,
      excluded: new Set([...SYSTEM_NAMESPACES, ...(ownNamespace === undefined ? [] : [ownNamespace])]),
      pageSize: flags.pageSize,
      now: time,
    };
    const [scanned, webhook] = await Promise.all([
      scanWithProgress(api.value, settings, flags.timeout),
      compareWebhook(cluster, ownNamespace, digest),
    ]);
    return ok({
      ...scanned,
      notes: [...scanned.notes, ...webhook.notes],
      time,
      seconds: (performance.now() - start) / 1_000,
      cluster: { version, configuration: { sha256: digest, matchesWebhook: webhook.matches } },
    });
  } catch (error) {
    if (error instanceof ClusterError) return err([error.message]);
    throw error;
  }
}

/** @returns undefined: the API server does not say */
async function readVersion(api: ApiConnection): Promise<string | undefined> {
  const { body } = await api.send('GET', '/version');
  return isObject(body) && typeof body.gitVersion === 'string' ? body.gitVersion : undefined;
}

async function configurationFor(
  { config: file, cloisterNamespace, profile }: Flags,
  cluster: Cluster,
  now: Date,
): Promise<Result<FoundConfiguration, readonly string[]>> {
  if (file !== undefined) {
    const config = await loadConfig(file, { now });
    return config.ok ? ok({ config: config.value, origin: file, isDefault: false, ownNamespace: cloisterNamespace }) : config;
  }
  const found = await findConfiguration(cluster, cloisterNamespace);
  if (found.ok) {
    const { text, title, namespace } = found.value;
    const config = parseConfig(text, title, { now });
    return config.ok ? ok({ config: config.value, origin: title, isDefault: false, ownNamespace: namespace }) : config;
  }
  // Before the chart is installed, `--profile` shows what it would change.
  if (profile === undefined) return err([found.error]);
  const config = await loadConfig(undefined, { now });
  return config.ok ? ok({ config: config.value, origin: DEFAULTS, isDefault: true, ownNamespace: cloisterNamespace }) : config;
}

/** Scans, and prints on a terminal how many pods are read. The line is removed at the end, also at Ctrl-C. */
async function scanWithProgress(api: ApiConnection, settings: ScanSettings, timeoutMs: number) {
  const controller = new AbortController();
  const problem = `the scan did not end within ${timeoutMs / 1_000} s: set a longer --timeout, or name namespaces with --namespace`;
  const timer = setTimeout(() => controller.abort(new Error(problem)), timeoutMs);
  const { stderr } = process;
  const clear = (): void => {
    if (stderr.isTTY) stderr.write('\r\u001b[K');
  };
  const interrupt = (): void => {
    clear();
    process.kill(process.pid, 'SIGINT');
  };
  process.once('SIGINT', interrupt);
  const onProgress = (pods: number): void => {
    if (stderr.isTTY) stderr.write(`\r${pods} pods read`);
  };
  try {
    return await scan(api, settings, { signal: controller.signal, onProgress });
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', interrupt);
    clear();
  }
}

interface WebhookComparison {
  /** Whether all serving pods that answer run the configuration; undefined: none answers. */
  readonly matches: boolean | undefined;
  readonly notes: readonly string[];
}

/** @param namespace of the chart; undefined: it is not known */
async function compareWebhook(cluster: Cluster, namespace: string | undefined, digest: string): Promise<WebhookComparison> {
  if (namespace === undefined) {
    return {
      matches: undefined,
      notes: ['The serving pods were not asked for their configuration: name their namespace with --cloister-namespace.'],
    };
  }
  try {
    const endpoints = await servingEndpoints(cluster, { namespace, name: SERVICE }, OPERATIONS_PORT);
    const pods = await Promise.all(endpoints.map((each) => observePod(each, `${SERVICE}.${namespace}.svc`)));
    const running = pods.flatMap(({ configuration }) => (configuration === undefined ? [] : [configuration]));
    if (running.length > 0) return { matches: running.every((each) => each === digest), notes: [] };
    const problem = pods.find((each) => each.problem !== undefined)?.problem ?? `Service ${namespace}/${SERVICE} has no pods`;
    return { matches: undefined, notes: [`The serving pods could not be asked for their configuration: ${problem}.`] };
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    return { matches: undefined, notes: [`The serving pods could not be asked for their configuration: ${error.message}.`] };
  }
}

function parseNamespaces(text: string, before: readonly string[]): readonly string[] {
  const names = parseNames(text, before);
  for (const name of names) parseNamespace(name);
  return [...new Set(names)];
}

function parsePageSize(text: string): number {
  const size = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (size < 1 || size > MAX_PAGE_SIZE) throw new InvalidArgumentError(`It must be a number from 1 to ${MAX_PAGE_SIZE}.`);
  return size;
}
