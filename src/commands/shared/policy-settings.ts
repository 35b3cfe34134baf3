import { access } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type Cluster, ClusterError, connect } from '../../cluster/client.ts';
import { findConfiguration, type InstalledConfiguration } from '../../cluster/configuration.ts';
import { type Config, loadConfig, parseConfig } from '../../config/load.ts';
import { err, ok, type Result } from '../../core/result.ts';
import { DEFAULTS, type KnownConfiguration, type PolicySettings, settingsOf } from '../../judging/settings.ts';
import { readOptional } from '../../manifests/files.ts';
import { type IgnorePattern, parseIgnoreFile, parseIgnorePattern } from '../../manifests/ignore.ts';
import { printInputProblem } from '../../manifests/problem.ts';
import type { ConfigurationFlags, ManifestFlags } from './manifest-flags.ts';

/** What a command judges manifests by, and which files it leaves out. */
export interface ManifestSettings extends PolicySettings {
  readonly ignore: readonly IgnorePattern[];
}

export const CONFIG_NAME = '.cloister.yaml';
const IGNORE_NAME = '.cloisterignore';

/** @returns the settings, or all problems of the flags and of the files that they name, one per line */
export async function loadPolicySettings(flags: ManifestFlags, now: Date): Promise<Result<ManifestSettings, readonly string[]>> {
  const [found, ignoreFile] = await Promise.all([configurationOf(flags, now), readOptional(IGNORE_NAME)]);
  const problems = [...(found.ok ? [] : found.error), ...(ignoreFile.ok ? [] : [printInputProblem(ignoreFile.error)])];
  if (!found.ok || !ignoreFile.ok) return err(problems);
  const ignore = [...parseIgnoreFile(ignoreFile.value ?? ''), ...flags.ignore.map(parseIgnorePattern)];
  const settings = settingsOf(found.value, flags);
  return settings.ok ? ok({ ...settings.value, ignore }) : settings;
}

export interface FoundConfiguration extends KnownConfiguration {
  readonly config: Config;
}

/** The configuration that the flags name, or that is found without them. */
export async function configurationOf(flags: ConfigurationFlags, now: Date): Promise<Result<FoundConfiguration, readonly string[]>> {
  const { config: named, fromCluster } = flags;
  const unused = CLUSTER_FLAGS.filter(([key]) => flags[key] !== undefined).map(
    ([, flag]) => `${flag} has no effect without --from-cluster`,
  );
  if (!fromCluster && unused.length > 0) return err(unused);
  if (fromCluster) return named === undefined ? configurationInCluster(flags, now) : err([TWO_CONFIGURATIONS]);
  const file = named ?? (await findUpwards(process.cwd()));
  const config = await loadConfig(file, { now });
  return config.ok
    ? ok({ config: config.value, origin: file ?? DEFAULTS, isDefault: file === undefined, ownNamespace: undefined })
    : config;
}

const CLUSTER_FLAGS = [
  ['kubeconfig', '--kubeconfig'],
  ['context', '--context'],
  ['cloisterNamespace', '--cloister-namespace'],
] as const satisfies readonly (readonly [keyof ConfigurationFlags, string])[];

const TWO_CONFIGURATIONS = 'a configuration is named by --config (or CLOISTER_CONFIG) and by --from-cluster: name one of them';

/**
 * The nearest `.cloister.yaml`, relative to the working folder. The search ends at the root of the Git repository, so that a file of another
 * owner above it has no effect.
 */
async function findUpwards(from: string): Promise<string | undefined> {
  for (let folder = from; ; folder = dirname(folder)) {
    if (await exists(join(folder, CONFIG_NAME))) return relative(from, join(folder, CONFIG_NAME));
    if (folder === dirname(folder) || (await exists(join(folder, '.git')))) return undefined;
  }
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

const FORBIDDEN =
  'ask for the permission to read it, or use --config. With --cloister-namespace, only the ConfigMap cloister-config of that namespace is read';

async function configurationInCluster(
  { cloisterNamespace, ...flags }: ConfigurationFlags,
  now: Date,
): Promise<Result<FoundConfiguration, readonly string[]>> {
  const cluster = await connect({ ...flags, whenForbidden: FORBIDDEN });
  if (!cluster.ok) return err([cluster.error]);
  try {
    return await configurationFor({ cloisterNamespace }, cluster.value, now);
  } catch (error) {
    if (error instanceof ClusterError) return err([error.message]);
    throw error;
  }
}

/** The configuration of the named file or, without one, of the installed chart. Throws a ClusterError. */
export async function configurationFor(
  { config: file, cloisterNamespace }: { readonly config?: string | undefined; readonly cloisterNamespace?: string | undefined },
  cluster: Cluster,
  now: Date,
): Promise<Result<FoundConfiguration, readonly string[]>> {
  if (file !== undefined) {
    const config = await loadConfig(file, { now });
    return config.ok ? ok({ config: config.value, origin: file, isDefault: false, ownNamespace: cloisterNamespace }) : config;
  }
  const found = await findConfiguration(cluster, cloisterNamespace);
  return found.ok ? parseInstalled(found.value, now) : err([found.error]);
}

export function parseInstalled(
  { text, title, namespace }: InstalledConfiguration,
  now: Date,
): Result<FoundConfiguration, readonly string[]> {
  const config = parseConfig(text, title, { now });
  return config.ok ? ok({ config: config.value, origin: title, isDefault: false, ownNamespace: namespace }) : config;
}
