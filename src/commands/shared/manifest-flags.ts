import { type Command, Option } from 'commander';
import { GRANTS, type Grant } from '../../core/requirements.ts';
import { addClusterFlags } from './cluster-flags.ts';
import { configOption, parseNames, parseNamespace } from './flags.ts';

/** The flags of the commands that judge manifests. */
export interface ManifestFlags {
  readonly filename?: readonly string[];
  readonly profile?: string;
  readonly grant?: Grant;
  readonly config?: string;
  readonly fromCluster?: boolean;
  readonly cloisterNamespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace: string;
  readonly ignore: readonly string[];
  readonly strict?: boolean;
  readonly allowEmpty?: boolean;
  readonly quiet?: boolean;
}

const MANIFESTS = 'files, folders (searched recursively for *.yaml, *.yml, *.json), or - for standard input';

export function addManifestFlags(command: Command): Command {
  command
    .argument('[manifests...]', MANIFESTS)
    .option('-f, --filename <file...>', 'the same as a flag, as kubectl has it')
    .option(
      '--profile <id>',
      'profile to judge by, in mode enforce: one of the configuration or, without a configuration, any built-in one; without the flag, the profile ' +
        'that the webhook would use: that of the labels of the Namespace object in the manifests, of `governs` or `default` of the configuration, or ' +
        'of the cloister.dev/profile label of the pod; or else the only configured profile',
    )
    .addOption(new Option('--grant <grant>', 'grant to judge by; without it, that of the profile').choices(GRANTS))
    .addOption(
      configOption(
        'configuration file; without one, the file .cloister.yaml of the working folder or of a folder above it, up to the root of the Git ' +
          'repository; without that, only the profile userns exists, with its defaults',
      ),
    )
    .option('--from-cluster', 'judge by the configuration of the chart that is installed in the cluster')
    .addOption(
      new Option(
        '--cloister-namespace <name>',
        'with --from-cluster: namespace of the chart; without the flag, all namespaces are searched',
      ).argParser(parseNamespace),
    );
  return addClusterFlags(command)
    .addOption(
      new Option('-n, --namespace <name>', 'namespace of objects without one; exemptions, `governs` and `default` depend on it')
        .argParser(parseNamespace)
        .default('default'),
    )
    .addOption(
      new Option(
        '--ignore <globs>',
        'files to leave out, as in .gitignore; separated by commas (can be repeated). The file .cloisterignore of the working folder lists more',
      )
        .argParser(parseNames)
        .default([]),
    )
    .option('--strict', 'exit with 2 if a file, or the rest of a file, is skipped because it is no manifest')
    .option('--allow-empty', 'accept input without any Kubernetes object')
    .option('-q, --quiet', 'print only what decides the exit status');
}

/** The files of a command, however they are named. */
export function namesOf(manifests: readonly string[], { filename = [] }: ManifestFlags): readonly string[] {
  return [...manifests, ...filename];
}

export const NO_FILES = 'no manifests are named: name files, folders, or - for standard input';
