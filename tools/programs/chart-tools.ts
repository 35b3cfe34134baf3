import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { buildGo, type ModuleName, moduleFolder, pinnedVersion, runGo } from './go.ts';

/** Programs that render and check the chart and its release, built from their Go modules once, into the user's cache. */
const CHART_TOOLS = {
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

type ChartTool = keyof typeof CHART_TOOLS;

/** The path of a program; builds the program if the cache lacks it. */
export async function chartTool(name: ChartTool): Promise<string> {
  const { module, package: path, requirement } = CHART_TOOLS[name];
  const folder = await cached(`${name}-${pinnedVersion(module, requirement)}`, [name], async (into) => {
    process.stderr.write(`Building ${name}: this takes minutes, the first time only.\n`);
    await buildGo({ module, packages: [path], into: `${into}/` });
  });
  return join(folder, name);
}

/** A folder with the CustomResourceDefinitions of the Prometheus operator and of cert-manager that the chart's objects need. */
export async function customResourceDefinitions(): Promise<string> {
  const operator = pinnedVersion('crds', 'github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring');
  const certManager = pinnedVersion('crds', 'github.com/cert-manager/cert-manager');
  const name = 'definitions';
  const folder = await cached(`crds-prometheus-operator-${operator}-cert-manager-${certManager}`, [name], async (into) => {
    await mkdir(join(into, name));
    const paths = [
      'github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1',
      'github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1',
    ].map((each) => `paths=${each}`);
    const args = ['tool', 'controller-gen', 'crd', ...paths, `output:crd:dir=${join(into, name)}`];
    await runGo('crds', args, 'to generate the definitions of custom resources');
  });
  return join(folder, name);
}

/** The CustomResourceDefinition of the Reports of OpenReports, as its project publishes it. */
export async function reportDefinition(): Promise<string> {
  return join(await moduleFolder('crds', 'github.com/openreports/reports-api'), 'config/crd/openreports.io_reports.yaml');
}

/** Builds everything before the tests start. @returns the paths */
export async function buildChartTools(): Promise<readonly string[]> {
  const built: string[] = [];
  // One after the other: each build uses all processors.
  for (const name of Object.keys(CHART_TOOLS) as ChartTool[]) built.push(await chartTool(name));
  return [...built, await customResourceDefinitions(), await reportDefinition()];
}

if (import.meta.main) {
  try {
    process.stdout.write(`${(await buildChartTools()).join('\n')}\n`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
