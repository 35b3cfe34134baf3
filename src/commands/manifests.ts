import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { loadConfig } from '../config/load.ts';
import { err, ok, type Result } from '../core/result.ts';
import { policiesBesideWebhook } from '../in-tree/beside.ts';
import { inTreeObjects, type PrintedObject, STATIC_KINDS, type StaticKind, staticObjects } from '../in-tree/mode.ts';
import { printReadError } from '../io-errors.ts';
import { entriesOf, type Target } from '../manifests/entries.ts';
import { type CertificateKeeper, ensureRoles, userRoles } from '../manifests/rbac.ts';
import { parseCertificates } from '../tls/pem.ts';
import { certificatesOption, type ServiceTarget, serviceOption } from './shared/cluster-flags.ts';
import { fail } from './shared/fail.ts';
import { configOption, flagWithVariable } from './shared/flags.ts';
import { addHelp } from './shared/help.ts';

/** `cloister manifests`: the objects that the API server needs for a configuration, to be applied by hand or from Git. */
export const command: Command = new Command('manifests')
  .description(
    'Prints, as one YAML stream, the objects that the API server needs for a configuration: the webhook configurations; the ' +
      'ValidatingAdmissionPolicies that protect labels and the webhook configurations, and those that enforce the profiles unless the configuration says `backstop: false`; and the ClusterRoles that allow ' +
      'labelling namespaces and changing the webhook configurations. Needs no cluster. One of --service, --url and --in-tree is required.',
  )
  .addOption(configOption())
  .addOption(serviceOption())
  .addOption(
    flagWithVariable('--url <https://host:port>', 'address of a server outside the cluster, instead of --service', 'URL')
      .argParser(parseUrl)
      .conflicts('service'),
  )
  .addOption(
    flagWithVariable(
      '--ca-file <file>',
      'PEM file with the CA of the serving certificate, for caBundle; without it, the entries have no caBundle, and API servers trust only the authorities of their system',
      'CA_FILE',
    ),
  )
  .addOption(
    new Option(
      '--in-tree',
      'print policies that repair and refuse pods inside the API server, for clusters without a webhook: Kubernetes 1.36 or later, profiles of userns',
    ).conflicts(['service', 'url', 'caFile', 'rbac']),
  )
  .addOption(
    new Option(
      '--static <kind>',
      'print only the policies of this kind, for a directory that API servers read when they start, which needs their feature gate ManifestBasedAdmissionControlConfig',
    )
      .choices(STATIC_KINDS)
      .conflicts('rbac'),
  )
  .addOption(
    new Option(
      '--rbac',
      'print the permissions of `cloister ensure` for a configuration instead: its service account, roles and bindings',
    ).conflicts(['url', 'caFile']),
  )
  .addOption(certificatesOption('with --rbac: the same value as for `cloister ensure`'))
  .action(run);

addHelp(command, {
  exitStatus: { 0: 'the objects are printed', 2: 'the input cannot be used' },
  examples: [
    'cloister manifests --rbac --config config.yaml --service cloister/cloister | kubectl apply -f -',
    'cloister manifests --config config.yaml --service cloister/cloister --ca-file ca.crt | kubectl apply -f -',
    'cloister manifests --url https://192.0.2.10:8443 --ca-file ca.crt',
    'cloister manifests --in-tree | kubectl apply -f -',
    'cloister manifests --in-tree --static mutating > /etc/kubernetes/policies/mutating/cloister.yaml',
  ],
});

interface Flags {
  readonly config?: string;
  readonly service?: ServiceTarget;
  readonly url?: UrlTarget;
  readonly caFile?: string;
  readonly inTree?: boolean;
  readonly static?: StaticKind;
  readonly rbac?: boolean;
  readonly certificates: CertificateKeeper;
}

async function run(flags: Flags, self: Command): Promise<void> {
  if (flags.rbac) return printRoles(flags, self);
  const config = await loadConfig(flags.config);
  const objects = flags.inTree ? inTree(config) : await withWebhook(config, flags);
  if (!objects.ok) return fail(self, objects.error);
  if (config.ok) for (const warning of config.value.warnings) process.stderr.write(`warning: ${warning}\n`);
  const { static: kind } = flags;
  const printed = kind === undefined ? objects.value : staticObjects(objects.value, kind);
  if (printed.length === 0) fail(self, [`--static ${kind} has nothing to print: only --in-tree has mutating policies`]);
  print(printed);
}

type Loaded = Awaited<ReturnType<typeof loadConfig>>;

const inTree = (config: Loaded): Result<readonly PrintedObject[], readonly string[]> =>
  config.ok ? inTreeObjects(config.value, new Date()) : config;

async function withWebhook(config: Loaded, flags: Flags): Promise<Result<readonly PrintedObject[], readonly string[]>> {
  const { service, url = service } = flags;
  const ca = await readCa(flags.caFile);
  if (!config.ok || url === undefined || !ca.ok) {
    return err([
      ...(config.ok ? [] : config.error),
      ...(url === undefined
        ? ['name the address at which the API server calls Cloister with --service or --url, or use no webhook with --in-tree']
        : []),
      ...(ca.ok ? [] : [ca.error]),
    ]);
  }
  const target = { ...url, ...ca.value };
  return ok([...entriesOf(config.value, target), ...policiesBesideWebhook(config.value, target), ...userRoles()]);
}

async function printRoles({ config: file, service, certificates }: Flags, self: Command): Promise<void> {
  const config = await loadConfig(file);
  if (service === undefined || !config.ok) {
    const missing = service === undefined ? ['--rbac needs --service: the permissions are for its namespace'] : [];
    fail(self, [...missing, ...(config.ok ? [] : config.error)]);
  }
  print(ensureRoles(service.service, certificates, policiesBesideWebhook(config.value, service)));
}

function print(objects: readonly object[]): void {
  process.stdout.write(objects.map((object) => stringify(object, { aliasDuplicateObjects: false, lineWidth: 0 })).join('---\n'));
}

type UrlTarget = Extract<Target, { readonly url: string }>;

/** The API server accepts no user, query or fragment in a URL; each entry adds its own path. */
function parseUrl(text: string): UrlTarget {
  const url = URL.parse(text);
  const isPlain = url?.protocol === 'https:' && (url.href === url.origin || url.href === `${url.origin}/`);
  if (url === null || !isPlain) throw new InvalidArgumentError('It must be https://HOST:PORT without a path.');
  return { url: url.origin };
}

async function readCa(file: string | undefined): Promise<Result<{ readonly ca?: string }, string>> {
  if (file === undefined) return ok({});
  const text = await readFile(file, 'utf8').catch((error: Error) => error);
  if (text instanceof Error) return err(printReadError(`--ca-file ${file}`, text));
  if (text.includes('PRIVATE KEY-----')) return err(`--ca-file ${file} has a private key: name a file with certificates only`);
  const certificates = parseCertificates(text);
  if (certificates === undefined) {
    return err(`--ca-file ${file} must have certificates in PEM, which start with -----BEGIN CERTIFICATE-----`);
  }
  return ok({ ca: certificates.map(String).join('') });
}
