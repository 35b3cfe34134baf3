import { constants } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, complaint, lacking } from './cache.ts';
import { build, moduleFolder, pinned } from './go.ts';

/**
 * Where the programs of a real cluster come from.
 *
 * The field's convention is KUBEBUILDER_ASSETS: a folder with kube-apiserver, etcd and kubectl. Without it they are
 * built from the Go modules that kubernetes/go.mod and etcd/go.mod pin, once, into the user's cache.
 */

const conventional = ['kube-apiserver', 'etcd', 'kubectl'] as const;
const unconventional = ['kube-controller-manager', 'kube-scheduler', 'kubelet'] as const;

/** Programs that a folder made by the convention may hold, and usually does not. */
type Unconventional = (typeof unconventional)[number];
type Program = (typeof conventional)[number] | Unconventional;

/** A folder that holds kube-apiserver, etcd and kubectl. */
export async function kubernetesBinaries(): Promise<string> {
  const assets = process.env.KUBEBUILDER_ASSETS;
  // The controller manager comes along: whoever wants an API server here wants it next, and most of it is compiled by then.
  if (!assets) return built([...conventional, 'kube-controller-manager']);
  const missing = await lacking(assets, conventional, constants.X_OK);
  if (missing.length > 0) throw complaint(`KUBEBUILDER_ASSETS is ${assets}, where ${missing.join(', ')} cannot be found or run.`);
  return assets;
}

export async function controllerManager(): Promise<string> {
  return join(await holding(['kube-controller-manager']), 'kube-controller-manager');
}

/** What a node adds to a control plane. */
export async function nodePrograms(): Promise<{ readonly scheduler: string; readonly kubelet: string }> {
  const folder = await holding(['kube-scheduler', 'kubelet']);
  return { scheduler: join(folder, 'kube-scheduler'), kubelet: join(folder, 'kubelet') };
}

async function holding(names: readonly Unconventional[]): Promise<string> {
  const assets = process.env.KUBEBUILDER_ASSETS;
  const areAssets = assets && (await lacking(assets, names, constants.X_OK)).length === 0;
  return areAssets ? assets : built(names);
}

/** The folder of a Go module's files, of the version that kubernetes/go.mod pins. */
export function kubernetesModule(name: string): Promise<string> {
  return moduleFolder('kubernetes', name);
}

async function built(wanted: readonly Program[]): Promise<string> {
  const [kubernetes, etcd] = await Promise.all([pinned('kubernetes', 'k8s.io/kubernetes'), pinned('etcd', 'go.etcd.io/etcd/server/v3')]);
  const called = `kubernetes-${kubernetes}-etcd-${etcd}`;
  const make = (into: string, missing: readonly Program[]): Promise<void> => compile(missing, into, kubernetes);
  // Apart, so that what was finished is not built again after what failed.
  await cached(called, wanted.filter(isEtcd), make);
  return cached(
    called,
    wanted.filter((name) => !isEtcd(name)),
    make,
  );
}

const isEtcd = (name: Program): boolean => name === 'etcd';

async function compile(names: readonly Program[], into: string, version: string): Promise<void> {
  process.stderr.write(`Building ${names.join(', ')}: this takes minutes, once.\n`);
  const remedy = `set KUBEBUILDER_ASSETS to a folder with ${[...conventional, ...unconventional].join(', ')}`;
  if (names.includes('etcd')) return build({ module: 'etcd', packages: ['go.etcd.io/etcd/server/v3'], into: `${into}/etcd`, remedy });
  const packages = names.map((name) => `k8s.io/kubernetes/cmd/${name}`);
  await build({ module: 'kubernetes', packages, into: `${into}/`, stamps: stampsOf(version), remedy });
}

/** Unstamped, Kubernetes takes itself for v0.0.0 and turns features off that came after that version. */
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
