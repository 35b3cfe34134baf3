import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { type ApiConnection, type Cluster, ClusterError, clusterOf, openApi } from '../cluster/client.ts';
import { CONFIG_MAP, findConfiguration } from '../cluster/configuration.ts';
import { writeOpenReports } from '../cluster/open-reports.ts';
import { observePod, type ServingPod, servingEndpoints } from '../cluster/serving.ts';
import { loadConfig } from '../config/load.ts';
import { SYSTEM_NAMESPACES } from '../core/governance.ts';
import { GRANTS, type Grant } from '../core/requirements.ts';
import { err, ok, type Result } from '../core/result.ts';
import { isObject } from '../core/shape.ts';
import { fileProblemOf } from '../io-errors.ts';
import { DEFAULTS, selectProfiles } from '../judging/settings.ts';
import { scanRoles } from '../manifests/rbac.ts';
import { failsScan, SCAN_FAIL_ON, type ScanFailOn, scanFormats } from '../report/scan/formats.ts';
import { printScanMetrics } from '../report/scan/metrics.ts';
import { openReportsOf, REPORT_LABELS } from '../report/scan/open-reports.ts';
import type { ScanReport } from '../report/scan/scan-report.ts';
import { printScanSummary } from '../report/scan/text.ts';
import { scan } from '../scan/scan.ts';
import type { ScanSettings } from '../scan/types.ts';
import { addClusterFlags, cloisterNamespaceOption, operationsPortOption } from './shared/cluster-flags.ts';
import { fail } from './shared/fail.ts';
import { configOption, parseDuration, parseNamespaces } from './shared/flags.ts';
import { addHelp } from './shared/help.ts';
import { configurationFor, type FoundConfiguration, parseInstalled } from './shared/policy-settings.ts';

const MAX_PAGE_SIZE = 1_000;
const SERVICE = 'cloister';
const WHEN_FORBIDDEN = 'give this identity the rights that `cloister scan --print-rbac` prints';

/** `cloister scan`: the findings in pods that run, and whether their walls are there. */
export const command: Command = addClusterFlags(
  new Command('scan')
    .description(
      'Judges the pods that run now by the profiles that are in force in their namespaces, and checks whether the wall of each pod is there: what its node, its ' +
        'RuntimeClass and its events say. The verdict of a pod is clean, short (a part of its grant is missing), escapes (a rule is broken) or unjudged. The ' +
        'state of its wall is stands, claimed (nothing proves it), missing, none (the pod asks for no wall) or down (the pod does not run). Changes ' +
        'the cluster only with --write, and then only its Reports.',
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
    .addOption(new Option('--grant <grant>', 'grant to judge by, instead of that of the profile; needs --profile').choices(GRANTS))
    .addOption(configOption('configuration file; without one, the configuration of the chart that is installed in the cluster'))
    .addOption(cloisterNamespaceOption())
    .addOption(operationsPortOption())
    .addOption(
      new Option('-o, --output <format>', 'output format; the exit status does not depend on it')
        .choices([...scanFormats.keys()])
        .default('text'),
    )
    .option('--all', 'with -o text and wide: print pods without findings, too')
    .option('--write', 'with -o openreports: write the Reports to the cluster instead of printing them, and delete those of earlier scans')
    .addOption(
      new Option(
        '--max-reports <reports>',
        'with -o openreports: the most Reports; if there are more pods with findings, only the worst get one',
      )
        .argParser(parseReports)
        .default(1_000),
    )
    .option('--metrics <file>', 'write the counts to this file, for the textfile collector of the node exporter')
    .addOption(
      new Option(
        '--fail-on <finding>',
        'exit with 1 at: escape (a pod escapes, or cannot be judged); wall (at escape, or when a wall is missing); promise (at wall, or when a pod is ' +
          'short of its grant); never (at nothing). Pods in namespaces that only warn or audit do not count',
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
    'the scan still counts as complete, but it proves no wall.',
  exitStatus: {
    0: 'the scan is complete, and what --fail-on names is not there',
    1: 'the scan is complete, and what --fail-on names is there',
    2: 'a flag or the configuration cannot be used; the scan is incomplete (it still prints what it has read); or a file or a Report cannot be written',
  },
  examples: [
    'cloister scan',
    'cloister scan -n team-a,team-b -o wide --all',
    'cloister scan -n legacy --profile userns --grant sudo',
    'cloister scan -o json --fail-on escape > scan.json',
    'cloister scan -o html > scan.html',
    'cloister scan -o openreports --write --metrics /var/lib/node_exporter/cloister.prom',
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
  readonly operationsPort: number;
  readonly output: string;
  readonly all?: boolean;
  readonly write?: boolean;
  readonly maxReports: number;
  readonly metrics?: string;
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
  const api = await openApi({ ...flags, whenForbidden: WHEN_FORBIDDEN });
  if (!api.ok) return fail(self, [api.error]);
  const scanned = await reportOf(api.value, flags);
  if (!scanned.ok) return fail(self, scanned.error);
  const report = scanned.value;
  if (!flags.write) await print(format.print(report, { all: flags.all === true, maxReports: flags.maxReports }));
  if (format.isForPeople || flags.write) process.stderr.write(printScanSummary(report));
  const { incomplete } = report;
  const unwritten = [
    ...(flags.output === 'openreports' ? await publish(api.value, report, flags) : []),
    ...(flags.metrics === undefined ? [] : await writeMetrics(flags.metrics, report)),
  ];
  const unread = incomplete.length === 0 ? [] : [...incomplete, 'the scan is incomplete'];
  if (unread.length > 0 || unwritten.length > 0) return fail(self, [...unwritten, ...unread]);
  if (failsScan(report, flags.failOn)) process.exitCode = 1;
}

async function print(pieces: Iterable<string>): Promise<void> {
  for (const piece of pieces) if (!process.stdout.write(piece)) await once(process.stdout, 'drain');
}

/** Writes the Reports to the cluster, with `--write`. @returns why Reports in the cluster are not up to date, a sentence for each problem */
async function publish(api: ApiConnection, report: ScanReport, { write, maxReports, timeout }: Flags): Promise<readonly string[]> {
  const { reports, omitted } = openReportsOf(report, { maxReports });
  if (omitted > 0) process.stderr.write(`${omitted} pods have no Report, because --max-reports is ${maxReports}.\n`);
  if (!write) return [];
  const signal = AbortSignal.timeout(timeout);
  try {
    const { problems, ...counts } = await writeOpenReports(api, { reports, namespaces: report.namespaces }, REPORT_LABELS, signal);
    const printed = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
    process.stderr.write(`Reports: ${printed.join(', ')}.\n`);
    return problems;
  } catch (error) {
    if (!signal.aborted) throw error;
    return [`the Reports were not all written within ${timeout / 1_000} s: scan again, or set a longer --timeout`];
  }
}

/** Replaces the file in one step: the node exporter, which runs as another user, may read it at any time. @returns why it could not be written */
async function writeMetrics(file: string, report: ScanReport): Promise<readonly string[]> {
  // The collector reads only files whose names end in .prom.
  const beside = join(dirname(file), `.${basename(file)}.${randomUUID()}`);
  try {
    await writeFile(beside, await printScanMetrics(report), { flag: 'wx' });
    // The umask limits the mode of a file only when it is created.
    await chmod(beside, 0o644);
    await rename(beside, file);
    return [];
  } catch (error) {
    await rm(beside, { force: true });
    const { message, remedy } = fileProblemOf(error as NodeJS.ErrnoException);
    return [`--metrics ${file} cannot be written: ${message}; ${remedy}`];
  }
}

function problemsOf(flags: Flags): readonly string[] {
  const { namespace, selector, profile, grant, output, write } = flags;
  return [
    ...(grant !== undefined && profile === undefined ? ['--grant has no effect without --profile'] : []),
    ...(profile !== undefined && namespace.length === 0 && selector === undefined
      ? ['--profile needs --namespace or --selector: name the pods that are judged by it']
      : []),
    ...(write && output !== 'openreports' ? ['--write needs -o openreports: no other format is written to the cluster'] : []),
    ...(write && profile !== undefined
      ? [
          '--write cannot be used with --profile: Reports describe the cluster as it is, and --profile shows what a label would change; leave one of them out',
        ]
      : []),
  ];
}

/** @param excluded by the system, the installation or the configuration */
function excludedProblemsOf({ namespace }: Flags, excluded: ReadonlySet<string>): readonly string[] {
  return namespace
    .filter((name) => excluded.has(name))
    .map((name) => `--namespace ${name}: Cloister never governs this namespace, and does not scan it`);
}

function printRoles({ namespace: namespaces, cloisterNamespace, config, write }: Flags): string {
  const configMap = config === undefined ? CONFIG_MAP : undefined;
  return scanRoles({ namespaces, cloisterNamespace, configMap, writesReports: write === true })
    .map((role) => `---\n${stringify(role, { aliasDuplicateObjects: false })}`)
    .join('');
}

async function reportOf(api: ApiConnection, flags: Flags): Promise<Result<ScanReport, readonly string[]>> {
  const time = new Date();
  const start = performance.now();
  const cluster = clusterOf(api);
  try {
    // This request is sent first because it is not retried: if the API server cannot be reached, the command ends at once. Lists are retried.
    const version = await readVersion(api);
    const found = await configurationOf(flags, cluster, time);
    if (!found.ok) return found;
    const { ownNamespace } = found.value;
    const selected = selectProfiles(found.value, flags);
    if (!selected.ok) return selected;
    const { exemptions, governance, digest } = found.value.config;
    const own = ownNamespace === undefined ? [] : [ownNamespace];
    const excluded = new Set([...SYSTEM_NAMESPACES, ...(governance.excluded ?? []), ...own]);
    const problems = excludedProblemsOf(flags, excluded);
    if (problems.length > 0) return err(problems);
    const settings: ScanSettings = {
      profiles: selected.value.profiles,
      exemptions,
      governance,
      preview: selected.value.profile,
      namespaces: flags.namespace,
      labels: flags.selector,
      excluded,
      pageSize: flags.pageSize,
      now: time,
    };
    const [scanned, webhook] = await Promise.all([
      scanWithProgress(api, settings, flags.timeout),
      compareWebhook(cluster, ownNamespace, digest, flags.operationsPort),
    ]);
    return ok({
      ...scanned,
      notes: [...webhook.notes, ...scanned.notes],
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

/** Before the chart is installed, `--profile` shows what the defaults would change. */
async function configurationOf(flags: Flags, cluster: Cluster, now: Date): Promise<Result<FoundConfiguration, readonly string[]>> {
  if (flags.profile === undefined || flags.config !== undefined) return configurationFor(flags, cluster, now);
  const installed = await findConfiguration(cluster, flags.cloisterNamespace);
  if (installed.ok) return parseInstalled(installed.value, now);
  const config = await loadConfig(undefined, { now });
  return config.ok ? ok({ config: config.value, origin: DEFAULTS, isDefault: true, ownNamespace: flags.cloisterNamespace }) : config;
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
async function compareWebhook(
  cluster: Cluster,
  namespace: string | undefined,
  digest: string,
  operationsPort: number,
): Promise<WebhookComparison> {
  if (namespace === undefined) {
    return {
      matches: undefined,
      notes: ['The serving pods were not asked for their configuration: name their namespace with --cloister-namespace.'],
    };
  }
  try {
    const endpoints = await servingEndpoints(cluster, { namespace, name: SERVICE }, operationsPort);
    const pods = await Promise.all(endpoints.map((each) => observePod(each, `${SERVICE}.${namespace}.svc`)));
    const running = pods.flatMap(({ configuration }) => (configuration === undefined ? [] : [configuration]));
    const silent = pods.filter(({ configuration }) => configuration === undefined);
    const [first] = silent;
    const problem = first === undefined ? `Service ${namespace}/${SERVICE} has no pods` : problemOf(first);
    if (running.length === 0) {
      return { matches: undefined, notes: [`No serving pod states its configuration: ${problem}.`] };
    }
    return {
      matches: running.every((each) => each === digest),
      notes: first === undefined ? [] : [`${silent.length} of ${pods.length} serving pods do not state their configuration: ${problem}.`],
    };
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    return { matches: undefined, notes: [`The serving pods could not be asked for their configuration: ${error.message}.`] };
  }
}

const problemOf = ({ address, problem }: ServingPod): string => problem ?? `${address} answers, but does not state it`;

function parseReports(text: string): number {
  const reports = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (reports < 1) throw new InvalidArgumentError('It must be a number from 1 on.');
  return reports;
}

function parsePageSize(text: string): number {
  const size = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (size < 1 || size > MAX_PAGE_SIZE) throw new InvalidArgumentError(`It must be a number from 1 to ${MAX_PAGE_SIZE}.`);
  return size;
}
