import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { stringify } from 'yaml';
import { loadConfig } from '../config.ts';
import type { Result } from '../core/result.ts';
import { printReadError } from '../io-errors.ts';
import { entriesOf, type Target } from '../manifests/entries.ts';
import { policies } from '../manifests/policies.ts';
import { CERTIFICATE_KEEPERS, type CertificateKeeper, ensureRoles, labelerRole } from '../manifests/rbac.ts';
import { parseCertificates } from '../tls/pem.ts';

/** `cloister manifests`: what the API server must hold for a configuration, for those who apply by hand or from Git. */
export const command = new Command('manifests')
  .summary('print what the cluster must hold for a configuration')
  .description(
    'Prints, as one YAML stream, what the API server must hold for a configuration: the webhook configurations, the ' +
      'ValidatingAdmissionPolicies that keep labels as they are, with their bindings, and the ClusterRole whose holders may ' +
      'label namespaces. Reads files and asks no cluster. Exits 2 when its input cannot be used.',
  )
  .addOption(new Option('--config <file>', 'configuration file (without one: userns alone, with its defaults)').env('CLOISTER_CONFIG'))
  .addOption(
    new Option('--service <namespace/name[:port]>', 'Service by which the API server reaches Cloister (port: 443)').env('CLOISTER_SERVICE'),
  )
  .addOption(new Option('--url <https://host:port>', 'address by which it does, for a server outside the cluster').env('CLOISTER_URL'))
  .addOption(new Option('--ca-file <file>', "PEM file with the CA of the server's certificate, for caBundle").env('CLOISTER_CA_FILE'))
  .addOption(
    new Option('--rbac', 'print instead what `cloister ensure` may do: its service account, roles and bindings').conflicts([
      'url',
      'caFile',
    ]),
  )
  .addOption(
    new Option('--certificates <keeper>', 'with --rbac: who keeps the certificates, as `cloister ensure` is told it')
      .choices(CERTIFICATE_KEEPERS)
      .default('ensure'),
  )
  .addHelpText(
    'after',
    `
Examples:
  cloister manifests --rbac --service cloister/cloister | kubectl apply -f -
  cloister manifests --config config.yaml --service cloister/cloister --ca-file ca.crt | kubectl apply -f -
  cloister manifests --url https://192.0.2.10:8443 --ca-file ca.crt
`,
  )
  .action(run);

type ServiceTarget = Extract<Target, { readonly service: unknown }>;

interface Flags {
  readonly config?: string;
  readonly service?: string;
  readonly url?: string;
  readonly caFile?: string;
  readonly rbac?: boolean;
  readonly certificates: CertificateKeeper;
}

async function run(flags: Flags, self: Command): Promise<void> {
  if (flags.rbac) return printRoles(flags, self);
  const config = await loadConfig(flags.config);
  const place = placeOf(flags);
  const ca = await readCa(flags.caFile);
  const problems = [config, place, ca].flatMap((each) => (each.ok ? [] : each.error));
  if (!config.ok || !place.ok || !ca.ok) return self.error(problems.map((each) => `error: ${each}`).join('\n'), { exitCode: 2 });

  for (const warning of config.value.warnings) process.stderr.write(`warning: ${warning}\n`);
  const objects = [...entriesOf(config.value, { ...place.value, ...ca.value }), ...policies(), labelerRole()];
  print(objects);
}

function printRoles({ service, certificates }: Flags, self: Command): void {
  const place = service === undefined ? wrong('--rbac: say for which Service, with --service') : serviceOf(service);
  if (!place.ok) self.error(place.error.map((each) => `error: ${each}`).join('\n'), { exitCode: 2 });
  print(ensureRoles(place.value.service, certificates));
}

function print(objects: readonly object[]): void {
  process.stdout.write(objects.map((object) => stringify(object, { aliasDuplicateObjects: false, lineWidth: 0 })).join('---\n'));
}

function placeOf({ service, url }: Flags): Result<Target, readonly string[]> {
  if (service === undefined && url === undefined) return wrong('say where the API server reaches Cloister: --service or --url');
  if (service !== undefined && url !== undefined) return wrong('--service and --url are two places: leave one out');
  return service === undefined ? urlOf(url ?? '') : serviceOf(service);
}

/** For `--service`. */
export function serviceOf(written: string): Result<ServiceTarget, readonly string[]> {
  const { namespace = '', name = '', port } = written.match(SERVICE)?.groups ?? {};
  if (name === '' || Number(port ?? 1) < 1 || Number(port ?? 1) > 65535) {
    return wrong(`--service ${written}: must be NAMESPACE/NAME or NAMESPACE/NAME:PORT, such as cloister/cloister:443`);
  }
  return { ok: true, value: { service: port === undefined ? { namespace, name } : { namespace, name, port: Number(port) } } };
}

const SERVICE = /^(?<namespace>[a-z0-9][-a-z0-9]{0,62})\/(?<name>[a-z0-9][-a-z0-9]{0,62})(:(?<port>\d{1,5}))?$/;

/** The API server takes no user, query or fragment in it, and the path is each entry's own. */
function urlOf(written: string): Result<Target, readonly string[]> {
  const url = URL.parse(written);
  const isPlain = url?.protocol === 'https:' && (url.href === url.origin || url.href === `${url.origin}/`);
  return url !== null && isPlain
    ? { ok: true, value: { url: url.origin } }
    : wrong(`--url ${written}: must be https://HOST:PORT and no more`);
}

async function readCa(file: string | undefined): Promise<Result<{ readonly ca?: string }, readonly string[]>> {
  if (file === undefined) return { ok: true, value: {} };
  const text = await readFile(file, 'utf8').catch((error: Error) => error);
  if (text instanceof Error) return wrong(printReadError(`--ca-file ${file}`, text));
  if (text.includes('PRIVATE KEY-----')) return wrong(`--ca-file ${file} holds a private key: name a file with certificates alone`);
  const certificates = parseCertificates(text);
  if (certificates === undefined) {
    return wrong(`--ca-file ${file}: must hold certificates in PEM, which start with -----BEGIN CERTIFICATE-----`);
  }
  return { ok: true, value: { ca: certificates.map(String).join('') } };
}

const wrong = (problem: string) => ({ ok: false, error: [problem] }) as const;
