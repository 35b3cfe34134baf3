import { type Command, Option } from 'commander';
import { GRANTS, type Grant } from '../../core/requirements.ts';
import { addClusterFlags, cloisterNamespaceOption } from './cluster-flags.ts';
import { configOption, parseNames, parseNamespace } from './flags.ts';

/** The flags that choose a configuration. */
export interface ConfigurationFlags {
  readonly config?: string;
  readonly fromCluster?: boolean;
  readonly cloisterNamespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** The flags of the commands that judge manifests. */
export interface ManifestFlags extends ConfigurationFlags {
  readonly filename?: readonly string[];
  readonly profile?: string;
  readonly grant?: Grant;
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
    .option('-f, --filename <file...>', 'manifests, in addition to the arguments; kubectl has the same flag')
    .option(
      '--profile <id>',
      'profile to judge by, in mode enforce: a profile of the configuration or, without a configuration, any built-in profile. Default: the profile ' +
        'that the webhook would use, from the labels of the Namespace object in the manifests, from `governs` or `default` of the configuration, or ' +
        'from the label cloister.dev/profile of the pod; if none of these names a profile, the only configured profile',
    )
    .addOption(new Option('--grant <grant>', 'grant to judge by; default: the grant of the profile').choices(GRANTS));
  return addConfigurationFlags(command)
    .addOption(
      new Option('-n, --namespace <name>', 'namespace of objects without a namespace; exemptions, `governs` and `default` depend on it')
        .argParser(parseNamespace)
        .default('default'),
    )
    .addOption(
      new Option(
        '--ignore <globs>',
        'files to leave out, in the notation of .gitignore, separated by commas (can be repeated); the file .cloisterignore of the working folder can list further files',
      )
        .argParser(parseNames)
        .default([]),
    )
    .option('--strict', 'exit with 2 if a file, or the rest of a file, is skipped because it is no manifest')
    .option('--allow-empty', 'accept input without any Kubernetes object')
    .option('-q, --quiet', 'print only what decides the exit status');
}

export function addConfigurationFlags(command: Command): Command {
  command
    .addOption(
      configOption(
        'configuration file. Default: the file .cloister.yaml of the working folder, or of a folder above it up to the root of the Git repository; ' +
          'if there is no such file, only the profile userns exists, with its defaults',
      ),
    )
    .option('--from-cluster', 'use the configuration of the chart that is installed in the cluster')
    .addOption(cloisterNamespaceOption('with --from-cluster: '));
  return addClusterFlags(command);
}

/** The files of a command, however they are named. */
export function namesOf(manifests: readonly string[], { filename = [] }: ManifestFlags): readonly string[] {
  return [...manifests, ...filename];
}

export const NO_FILES = 'no manifests are named: name files, folders, or - for standard input';
