import { whyWithoutGrant } from '../containers.ts';
import { findEngine } from '../engines.ts';
import { type Container, lastsAsLongAsPod } from '../pod.ts';
import type { ProfileRequirements } from '../requirements.ts';
import type { Rule } from './rule.ts';

/**
 * A daemon that runs as root mounts file systems, makes control groups and sets up networks, and so does a node of a cluster. Only a runtime that
 * emulates a machine, or a guest, lets root of a pod do all of it. Such a container starts under every profile. Its engine then ends with an error,
 * or never becomes ready.
 *
 * Fields: image, command and args of each container
 * Allowed: anything; an engine works that is rootless, or that has the grant `containers` of a profile that runs rootful engines
 * Fix: none, because another engine is another image.
 * Source: https://docs.docker.com/engine/security/rootless/, https://github.com/moby/buildkit/blob/master/docs/rootless.md,
 * https://kubernetes.io/docs/tasks/administer-cluster/kubelet-in-userns/
 */
export const rootfulEngine: Rule = {
  id: 'rootful-engine',
  summary: 'An engine starts as root only in a container that can run it.',
  fields: ['spec.containers[*].image', 'spec.containers[*].command', 'spec.containers[*].args'],
  checkContainer(container, report, { requirements }) {
    const { hasGrant, spec } = container;
    if (requirements.runsRootfulEngines && requirements.grant === 'containers' && hasGrant) return;
    const engine = findEngine(spec);
    if (engine === undefined || engine.isRootless) return;
    const { program, path, isNode } = engine;
    const choices = isNode ? [] : [ROOTLESS];
    const remedy = requirements.runsRootfulEngines
      ? remedyFor(container, requirements, choices)
      : `use ${[...choices, SYSBOX].join(', or ')}`;
    const need = requirements.runsRootfulEngines ? 'which needs the grant containers' : 'which will not work under this profile';
    report({ path, message: `the container starts ${program} as root, ${need}`, remedy, kind: 'promise' });
  },
  inTree: 'no escape',
};

const ROOTLESS = 'rootless Docker, which the workspace image has';
const SYSBOX = 'a profile of sysbox with the grant containers';

function remedyFor(container: Container, requirements: ProfileRequirements, choices: readonly string[]): string {
  if (requirements.grant !== 'containers')
    return ['ask for the grant containers', ...choices.map((choice) => `use ${choice}`)].join(', or ');
  if (!lastsAsLongAsPod(container)) return 'make it a regular container, or a native sidecar';
  const why = `the container gets no grant, because ${whyWithoutGrant(container, requirements)}`;
  return `${why}: ${requirements.grantTo === undefined ? 'remove its restrictions' : 'ask the operator to add its name to grantTo'}`;
}
