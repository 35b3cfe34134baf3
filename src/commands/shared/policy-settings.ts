import { access } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type Cluster, ClusterError, connect } from '../../cluster/client.ts';
import { findConfiguration, type InstalledConfiguration } from '../../cluster/configuration.ts';
import { type Config, loadConfig, parseConfig } from '../../config/load.ts';
import type { Governance } from '../../core/governance.ts';
import { type PolicyConfig, printConfigured, printUnknownProfile } from '../../core/policy.ts';
import { backends } from '../../core/profiles/index.ts';
import { makeProfile, type Profile } from '../../core/profiles/profile.ts';
import { err, ok, type Result } from '../../core/result.ts';
import { didYouMean } from '../../did-you-mean.ts';
import { readOptional } from '../../manifests/files.ts';
import { type IgnorePattern, parseIgnoreFile, parseIgnorePattern } from '../../manifests/ignore.ts';
import { printInputProblem } from '../../manifests/problem.ts';
import type { ConfigurationFlags, ManifestFlags } from './manifest-flags.ts';

/** What a command judges manifests by. */
export interface PolicySettings extends PolicyConfig {
  readonly governance: Governance;
  /** Where the configuration comes from, for people: the name of a file or of a ConfigMap. */
  readonly origin: string;
  /** The namespace of Cloister, which it never governs. undefined: not known, because the configuration is not that of a cluster. */
  readonly ownNamespace: string | undefined;
  /** The flag that sets the grant of every profile. */
  readonly grantOrigin?: string;
  /** The profile that `--profile` names. */
  readonly profile?: Profile;
  readonly ignore: readonly IgnorePattern[];
}

export const CONFIG_NAME = '.cloister.yaml';
const IGNORE_NAME = '.cloisterignore';
export const DEFAULTS = 'the defaults of Cloister';

/** @returns the settings, or all problems of the flags and of the files that they name, one per line */
export async function loadPolicySettings(flags: ManifestFlags, now: Date): Promise<Result<PolicySettings, readonly string[]>> {
  const [found, ignoreFile] = await Promise.all([configurationOf(flags, now), readOptional(IGNORE_NAME)]);
  const problems = [...(found.ok ? [] : found.error), ...(ignoreFile.ok ? [] : [printInputProblem(ignoreFile.error)])];
  if (!found.ok || !ignoreFile.ok) return err(problems);
  const { config, origin, ownNamespace } = found.value;
  const ignore = [...parseIgnoreFile(ignoreFile.value ?? ''), ...flags.ignore.map(parseIgnorePattern)];
  const selected = selectProfiles(found.value, flags);
  if (!selected.ok) return selected;
  const { exemptions, governance } = config;
  return ok({
    ...selected.value,
    exemptions,
    governance,
    origin,
    ownNamespace,
    ignore,
    ...(flags.grant === undefined ? {} : { grantOrigin: '--grant' }),
  });
}

/** The profiles to judge by: those of the configuration or, without one, what `--profile` may name; each with the grant of `--grant`. */
export function selectProfiles(
  { config, origin, isDefault }: FoundConfiguration,
  { profile: named, grant }: Pick<ManifestFlags, 'profile' | 'grant'>,
): Result<Pick<PolicySettings, 'profiles' | 'profile'>, readonly string[]> {
  const offered = isDefault && named !== undefined ? builtInProfiles() : config.profiles;
  const profiles = grant === undefined ? offered : new Map([...offered].map(([id, profile]) => [id, { ...profile, grant }]));
  if (named === undefined) return ok({ profiles });
  const profile = profiles.get(named);
  if (profile !== undefined) return ok({ profiles, profile });
  const guess = didYouMean(named, profiles.keys());
  if (!isDefault) return err([`--profile: ${printUnknownProfile(named)} in ${origin}${guess}; ${printConfigured(profiles)}`]);
  const known = [...profiles.keys()].join(', ');
  return err([`--profile: there is no built-in profile "${named}"${guess}: use one of ${known}, or name a configuration with --config`]);
}

/** Every backend as a profile of its own, with the defaults of its options. */
const builtInProfiles = (): Map<string, Profile> => new Map(backends.map((each) => [each.id, makeProfile(each.id, each, {})]));

export interface FoundConfiguration extends Pick<PolicySettings, 'origin' | 'ownNamespace'> {
  readonly config: Config;
  /** Whether there is no configuration. */
  readonly isDefault: boolean;
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
