import { whyWithoutGrant } from '../containers.ts';
import { type Container, type ContainerSpec, lastsAsLongAsPod, orEmpty } from '../pod.ts';
import type { ProfileRequirements } from '../requirements.ts';
import type { Rule } from './rule.ts';

/**
 * A daemon that runs as root mounts file systems, makes control groups and sets up networks. Only a runtime that emulates a machine, or a guest,
 * lets root of a pod do all of it. Such a container starts under every profile, and then ends or waits for ever with an error of its engine.
 *
 * Fields: image, command and args of each container
 * Allowed: anything; an engine works that is rootless, or that has the grant `containers` of a profile that runs rootful engines
 * Fix: none, because another engine is another image.
 * Source: https://docs.docker.com/engine/security/rootless/, https://github.com/moby/buildkit/blob/master/docs/rootless.md
 */
export const rootfulEngine: Rule = {
  id: 'rootful-engine',
  summary: 'A container that starts an engine as root can run it.',
  fields: ['spec.containers[*].image', 'spec.containers[*].command', 'spec.containers[*].args'],
  checkContainer(container, report, { requirements }) {
    const { hasGrant, spec } = container;
    if (requirements.runsRootfulEngines && requirements.grant === 'containers' && hasGrant) return;
    const found = findRootfulEngine(spec);
    if (found === undefined) return;
    const { program, path } = found;
    const remedy = requirements.runsRootfulEngines ? remedyFor(container, requirements) : OTHER_ENGINE;
    const need = requirements.runsRootfulEngines ? 'which needs the grant containers' : 'which will not work under this profile';
    report({ path, message: `the container starts ${program} as root, ${need}`, remedy, kind: 'promise' });
  },
};

const OTHER_ENGINE = 'use rootless Docker, which the workspace image has, or a profile of sysbox with the grant containers';

function remedyFor(container: Container, requirements: ProfileRequirements): string {
  if (requirements.grant !== 'containers') return 'ask for the grant containers, or use rootless Docker, which the workspace image has';
  if (!lastsAsLongAsPod(container)) return 'make it a regular container, or a native sidecar';
  const why = `the container gets no grant, because ${whyWithoutGrant(container, requirements)}`;
  return `${why}: ${requirements.grantTo === undefined ? 'remove its restrictions' : 'ask the operator to add its name to grantTo'}`;
}

interface Found {
  readonly program: string;
  readonly path: readonly (string | number)[];
}

/** The daemons, and the scripts of their images that start them. */
const PROGRAM = /(?:^|[\s;&|(/])(dockerd|dockerd-entrypoint\.sh|buildkitd|buildctl-daemonless\.sh)(?=$|[\s;&|)])/;
/** Images whose entry point is a daemon. */
const IMAGES: readonly (readonly [pattern: RegExp, program: string])[] = [
  [/(?:^|\/)docker:[^/]*dind/, 'dockerd'],
  [/(?:^|\/)moby\/buildkit(?:[:@]|$)/, 'buildkitd'],
];
/** Options and words of a script beyond it are not searched. */
const MAX_WORD_CHARS = 4_096;

function findRootfulEngine({ image, command, args }: ContainerSpec): Found | undefined {
  const words = [...orEmpty(command), ...orEmpty(args)];
  if ([image ?? '', ...words].some((word) => word.slice(0, MAX_WORD_CHARS).includes('rootless'))) return undefined;
  for (const [field, list] of Object.entries({ command: orEmpty(command), args: orEmpty(args) })) {
    for (const [index, word] of list.entries()) {
      const program = word.startsWith('-') ? undefined : PROGRAM.exec(word.slice(0, MAX_WORD_CHARS))?.[1];
      if (program !== undefined) return { program, path: [field, index] };
    }
  }
  // A command replaces the entry point of the image.
  if (orEmpty(command).length > 0) return undefined;
  const program = IMAGES.find(([pattern]) => pattern.test(image?.slice(0, MAX_WORD_CHARS) ?? ''))?.[1];
  return program === undefined ? undefined : { program, path: ['image'] };
}
