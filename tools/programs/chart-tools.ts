import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { build, go, type ModuleName, pinned } from './go.ts';

/** Programs that judge the chart and how it is released, built from their Go modules once, into the user's cache. */
const PROGRAMS = {
  helm: { module: 'helm', package: 'helm.sh/helm/v4/cmd/helm', requirement: 'helm.sh/helm/v4' },
  kubeconform: { module: 'helm', package: 'github.com/yannh/kubeconform/cmd/kubeconform', requirement: 'github.com/yannh/kubeconform' },
  promtool: {
    module: 'prometheus',
    package: 'github.com/prometheus/prometheus/cmd/promtool',
    requirement: 'github.com/prometheus/prometheus',
  },
  'kube-score': { module: 'kube-score', package: 'github.com/zegl/kube-score/cmd/kube-score', requirement: 'github.com/zegl/kube-score' },
  actionlint: { module: 'actionlint', package: 'github.com/rhysd/actionlint/cmd/actionlint', requirement: 'github.com/rhysd/actionlint' },
} as const satisfies Readonly<Record<string, { module: ModuleName; package: string; requirement: string }>>;

export type ProgramName = keyof typeof PROGRAMS;

/** The path of a program, which is built where it is missing. */
export async function program(name: ProgramName): Promise<string> {
  const { module, package: wanted, requirement } = PROGRAMS[name];
  const folder = await cached(`${name}-${await pinned(module, requirement)}`, [name], async (into) => {
    process.stderr.write(`Building ${name}: this takes minutes, once.\n`);
    await build({ module, packages: [wanted], into: `${into}/` });
  });
  return join(folder, name);
}

/** A folder with the CustomResourceDefinitions of what the chart can make for the Prometheus operator and for cert-manager. */
export async function customResources(): Promise<string> {
  const [operator, certManager] = await Promise.all([
    pinned('crds', 'github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring'),
    pinned('crds', 'github.com/cert-manager/cert-manager'),
  ]);
  const name = 'definitions';
  const folder = await cached(`crds-prometheus-operator-${operator}-cert-manager-${certManager}`, [name], async (into) => {
    await mkdir(join(into, name));
    const paths = [
      'github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1',
      'github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1',
    ].map((each) => `paths=${each}`);
    const args = ['tool', 'controller-gen', 'crd', ...paths, `output:crd:dir=${join(into, name)}`];
    await go('crds', args, 'it makes the definitions of custom resources');
  });
  return join(folder, name);
}

/** Makes all of it, so that no test waits for it. @returns where it is */
export async function chartPrograms(): Promise<readonly string[]> {
  const made: string[] = [];
  // One after the other: each takes all processors.
  for (const name of Object.keys(PROGRAMS) as ProgramName[]) made.push(await program(name));
  return [...made, await customResources()];
}

if (import.meta.main) {
  try {
    process.stdout.write(`${(await chartPrograms()).join('\n')}\n`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
