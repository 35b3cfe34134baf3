import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/**
 * Where the programs of a real control plane come from.
 *
 * The field's convention is KUBEBUILDER_ASSETS: a folder with kube-apiserver, etcd and kubectl. Without it they are
 * built from the Go modules that kubernetes/go.mod and etcd/go.mod pin, once, into the user's cache.
 */

// Go names a program after its package: etcd's comes out as `server`.
const BUILDS = {
  etcd: { module: 'etcd', package: 'go.etcd.io/etcd/server/v3', output: 'server' },
  'kube-apiserver': { module: 'kubernetes', package: 'k8s.io/kubernetes/cmd/kube-apiserver', output: 'kube-apiserver' },
  'kube-controller-manager': {
    module: 'kubernetes',
    package: 'k8s.io/kubernetes/cmd/kube-controller-manager',
    output: 'kube-controller-manager',
  },
  kubectl: { module: 'kubernetes', package: 'k8s.io/kubernetes/cmd/kubectl', output: 'kubectl' },
} as const;

type Binary = keyof typeof BUILDS;

const conventional = ['kube-apiserver', 'etcd', 'kubectl'] as const satisfies readonly Binary[];
const everything = Object.keys(BUILDS) as readonly Binary[];

/** A folder that holds kube-apiserver, etcd and kubectl. */
export async function kubernetesBinaries(): Promise<string> {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (!assets) return cached(everything);
  const missing = await lacking(assets, conventional);
  if (missing.length > 0) throw complaint(`KUBEBUILDER_ASSETS is ${assets}, where ${missing.join(', ')} cannot be found or run.`);
  return assets;
}

/** The path of a kube-controller-manager, which KUBEBUILDER_ASSETS may hold but by convention does not. */
export async function controllerManager(): Promise<string> {
  const name = 'kube-controller-manager';
  const assets = process.env.KUBEBUILDER_ASSETS;
  const folder = assets && (await lacking(assets, [name])).length === 0 ? assets : await cached([name]);
  return join(folder, name);
}

/** The folder of a Go module's files, of the version that kubernetes/go.mod pins. */
export async function kubernetesModule(name: string): Promise<string> {
  const cwd = join(import.meta.dirname, 'kubernetes');
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', name], { cwd });
  return (JSON.parse(stdout) as { readonly Dir: string }).Dir;
}

async function cached(wanted: readonly Binary[]): Promise<string> {
  const versions = await pinnedVersions();
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const folder = join(cache, 'cloister', `kubernetes-${versions.kubernetes}-etcd-${versions.etcd}`);
  const missing = await lacking(folder, wanted);
  if (missing.length > 0) await build(missing, folder, versions);
  return folder;
}

async function lacking(folder: string, wanted: readonly Binary[]): Promise<readonly Binary[]> {
  const runnable = await Promise.all(wanted.map((name) => isRunnable(join(folder, name))));
  return wanted.filter((_, index) => !runnable[index]);
}

function isRunnable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

interface Versions {
  readonly kubernetes: string;
  readonly etcd: string;
  readonly go: string;
}

/** The go.mod files are the one place where versions are written. */
async function pinnedVersions(): Promise<Versions> {
  const [kubernetes, etcd] = await Promise.all(
    ['kubernetes', 'etcd'].map((name) => readFile(join(import.meta.dirname, name, 'go.mod'), 'utf8')),
  );
  return {
    kubernetes: captured(kubernetes, /^\s*(?:require )?k8s\.io\/kubernetes v(\S+)/m),
    etcd: captured(etcd, /^\s*(?:require )?go\.etcd\.io\/etcd\/server\/v3 v(\S+)/m),
    go: captured(kubernetes, /^go (\d+\.\d+)/m),
  };
}

function captured(text: string | undefined, pattern: RegExp): string {
  const found = text?.match(pattern)?.[1];
  if (found === undefined) throw new Error(`A go.mod under ${import.meta.dirname} has no line like ${pattern.source}.`);
  return found;
}

/**
 * Builds beside the folder and renames each program when it is whole: two builds at once, or one that was
 * interrupted, never leave half a program, and what was finished is not built again.
 */
async function build(wanted: readonly Binary[], folder: string, versions: Versions): Promise<void> {
  process.stderr.write(`Building ${wanted.join(', ')} into ${folder}: this takes about five minutes, once.\n`);
  await mkdir(folder, { recursive: true });
  await removeAbandoned(folder);
  const part = join(folder, `${BUILDING}${process.pid}`);
  try {
    for (const module of ['etcd', 'kubernetes'] as const) {
      const names = wanted.filter((name) => BUILDS[name].module === module);
      if (names.length === 0) continue;
      await mkdir(part, { recursive: true });
      await compile(module, names, part, versions);
      for (const name of names) await rename(join(part, BUILDS[name].output), join(folder, name));
    }
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

const BUILDING = 'building-';

async function removeAbandoned(folder: string): Promise<void> {
  const abandoned = (await readdir(folder)).filter((name) => name.startsWith(BUILDING) && !isRunning(Number(name.slice(BUILDING.length))));
  await Promise.all(abandoned.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function compile(module: 'etcd' | 'kubernetes', names: readonly Binary[], into: string, versions: Versions): Promise<void> {
  const stamps = module === 'kubernetes' ? kubernetesStamps(versions.kubernetes) : [];
  const flags = ['-trimpath', '-ldflags', ['-s', '-w', ...stamps].join(' ')];
  const remedy = `install Go ${versions.go} or later, or set KUBEBUILDER_ASSETS to a folder with ${everything.join(', ')}`;
  try {
    await promisify(execFile)('go', ['build', ...flags, '-o', `${into}/`, ...names.map((name) => BUILDS[name].package)], {
      cwd: join(import.meta.dirname, module),
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false -mod=readonly' },
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') throw complaint(`Kubernetes has to be built for these tests and there is no Go here: ${remedy}.`);
    throw complaint(`Building ${names.join(', ')} failed (${lastLines(stderr ?? String(error))}); ${remedy}.`);
  }
}

/** Unstamped, Kubernetes takes itself for v0.0.0 and turns features off that came after that version. */
function kubernetesStamps(version: string): readonly string[] {
  const [major, minor] = version.split('.');
  const component = 'k8s.io/component-base/version';
  return [
    `-X ${component}.gitVersion=v${version}`,
    `-X ${component}.gitMajor=${major}`,
    `-X ${component}.gitMinor=${minor}`,
    `-X k8s.io/client-go/pkg/version.gitVersion=v${version}`,
  ];
}

/** For the person at the keyboard, who has something to install: a stack would only hide the sentence. */
function complaint(sentence: string): Error {
  return Object.assign(new Error(sentence), { stack: `Error: ${sentence}` });
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' ');
}

if (import.meta.main) {
  try {
    process.stdout.write(`${await kubernetesBinaries()}\n`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
