import { constants } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, missingFrom, userError } from './cache.ts';
import { buildGo, type ModuleName, pinnedVersion } from './go.ts';

/**
 * The programs of a real cluster.
 *
 * By convention KUBEBUILDER_ASSETS names a folder with kube-apiserver, etcd and kubectl. Without it they are built from the Go modules that
 * kubernetes/go.mod and etcd/go.mod require, once, into the user's cache.
 */

const ASSETS = ['kube-apiserver', 'etcd', 'kubectl'] as const;
const OPTIONAL_ASSETS = ['kube-controller-manager', 'kube-scheduler', 'kubelet'] as const;

/** Programs that the folder in KUBEBUILDER_ASSETS may contain and usually does not. */
type OptionalAsset = (typeof OPTIONAL_ASSETS)[number];
type Program = (typeof ASSETS)[number] | OptionalAsset;

/** A folder that holds kube-apiserver, etcd and kubectl. */
export async function kubernetesBinaries(): Promise<string> {
  const assets = process.env.KUBEBUILDER_ASSETS;
  // The controller manager is built in the same run: the tests need it too, and the build shares most packages.
  if (!assets) return buildMissing([...ASSETS, 'kube-controller-manager']);
  const missing = await missingFrom(assets, ASSETS, constants.X_OK);
  if (missing.length > 0)
    throw userError(`KUBEBUILDER_ASSETS is ${assets}, which lacks an executable ${missing.join(', ')}: add it, or unset the variable.`);
  return assets;
}

/** The version whose programs the tests run. */
export const pinnedKubernetes = (): string => pinnedVersion('kubernetes', 'k8s.io/kubernetes');

/** The oldest and the newest API server that are supported, by version: only the API server is built from their modules. */
export const OTHER_KUBERNETES: ReadonlyMap<string, ModuleName> = new Map(
  (['kubernetes-oldest', 'kubernetes-newest'] as const).map((module) => [pinnedVersion(module, 'k8s.io/kubernetes'), module]),
);

/** The environment variable with the versions of `./dev test --kubernetes`, from which vitest.config.ts makes projects. */
export const KUBERNETES_VERSIONS = 'CLOISTER_KUBERNETES';

/** @param version undefined: the pinned one. @throws when there is no go.mod for the version */
export async function apiServerProgram(version: string | undefined): Promise<string> {
  if (version === undefined || version === pinnedKubernetes()) return join(await kubernetesBinaries(), API_SERVER);
  const module = OTHER_KUBERNETES.get(version);
  if (module === undefined)
    throw userError(`There is no go.mod for an API server ${version}: choose among ${[...OTHER_KUBERNETES.keys()].join(', ')}.`);
  const make = async (into: string): Promise<void> => {
    process.stderr.write(`Building kube-apiserver ${version}: this takes ten minutes, the first time only.\n`);
    await buildGo({ module, packages: [`k8s.io/kubernetes/cmd/${API_SERVER}`], into: `${into}/`, stamps: stampsOf(version) });
  };
  return join(await cached(`kube-apiserver-${version}`, [API_SERVER], make), API_SERVER);
}

const API_SERVER = 'kube-apiserver';

export async function controllerManager(): Promise<string> {
  return join(await folderWith(['kube-controller-manager']), 'kube-controller-manager');
}

/** The programs of a node, and the scheduler that assigns pods to it. */
export async function nodePrograms(): Promise<{ readonly scheduler: string; readonly kubelet: string }> {
  const folder = await folderWith(['kube-scheduler', 'kubelet']);
  return { scheduler: join(folder, 'kube-scheduler'), kubelet: join(folder, 'kubelet') };
}

async function folderWith(names: readonly OptionalAsset[]): Promise<string> {
  const assets = process.env.KUBEBUILDER_ASSETS;
  const areAssets = assets && (await missingFrom(assets, names, constants.X_OK)).length === 0;
  return areAssets ? assets : buildMissing(names);
}

async function buildMissing(programs: readonly Program[]): Promise<string> {
  const [kubernetes, etcd] = [pinnedKubernetes(), pinnedVersion('etcd', 'go.etcd.io/etcd/server/v3')];
  const called = `kubernetes-${kubernetes}-etcd-${etcd}`;
  const make = (into: string, missing: readonly Program[]): Promise<void> => compile(missing, into, kubernetes);
  // Separately, so that a failure of one build does not discard the result of the other.
  await cached(called, programs.filter(isEtcd), make);
  return cached(
    called,
    programs.filter((name) => !isEtcd(name)),
    make,
  );
}

const isEtcd = (name: Program): boolean => name === 'etcd';

async function compile(names: readonly Program[], into: string, version: string): Promise<void> {
  process.stderr.write(`Building ${names.join(', ')}: this takes minutes, the first time only.\n`);
  const remedy = `set KUBEBUILDER_ASSETS to a folder with ${[...ASSETS, ...OPTIONAL_ASSETS].join(', ')}`;
  if (names.includes('etcd')) return buildGo({ module: 'etcd', packages: ['go.etcd.io/etcd/server/v3'], into: `${into}/etcd`, remedy });
  const packages = names.map((name) => `k8s.io/kubernetes/cmd/${name}`);
  await buildGo({ module: 'kubernetes', packages, into: `${into}/`, stamps: stampsOf(version), remedy });
}

/** Without a version, Kubernetes reports v0.0.0 and disables the features of all later versions. */
function stampsOf(version: string): readonly string[] {
  const [major, minor] = version.split('.');
  const component = 'k8s.io/component-base/version';
  return [
    `${component}.gitVersion=v${version}`,
    `${component}.gitMajor=${major}`,
    `${component}.gitMinor=${minor}`,
    `k8s.io/client-go/pkg/version.gitVersion=v${version}`,
  ];
}

if (import.meta.main) {
  try {
    process.stdout.write(`${await kubernetesBinaries()}\n`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
