import { checkProfiles, LEFT_OUT, type Problem } from '../check.ts';
import type { KubeletFact } from '../facts.ts';
import { problemsByNode } from '../grouping.ts';
import { needsHostUsers } from '../profiles.ts';

type KubeletProblem = Omit<Problem, 'objects'>;

const problemsOf = (
  kubelets: readonly KubeletFact[],
  problemOf: (kubelet: KubeletFact) => KubeletProblem | undefined,
): readonly Problem[] => problemsByNode(kubelets, ({ node }) => node, problemOf);

const unknown = (message: string): KubeletProblem => ({
  level: 'unknown',
  message,
  remedy: 'Read the configuration and the metrics of these kubelets on their nodes.',
});

export const idsPerPod = checkProfiles({
  id: 'ids-per-pod',
  summary: 'The kubelets give each pod as many ids as the profile says (--deep).',
  reads: ['kubelets'],
  levels: ['error', 'info'],
  appliesTo: needsHostUsers,
  run(profile, { kubelets }) {
    const { idsPerPod: configured } = profile.requirementsFor(profile.grant);
    if (configured === undefined) return LEFT_OUT;
    return problemsOf(kubelets, ({ configuration }) => {
      if ('missing' in configuration) return unknown(`the configuration of the kubelet cannot be read: ${configuration.missing}`);
      const { idsPerPod: given } = configuration.value;
      if (given === configured) return undefined;
      const remedy = "Set idsPerPod of the profile, or userNamespaces.idsPerPod of the kubelets, to the other's value.";
      return given < configured
        ? {
            level: 'error',
            message: `kubelets give ${given} ids, and the profile says ${configured}: pods with higher ids are admitted and fail`,
            remedy,
          }
        : {
            level: 'info',
            message: `kubelets give ${given} ids, and the profile says ${configured}: pods with higher ids are refused`,
            remedy,
          };
    });
  },
});

export const usernsErrors = checkProfiles({
  id: 'userns-errors',
  summary: 'No pod with a user namespace failed to start since its kubelet started (--deep).',
  reads: ['kubelets'],
  levels: ['warning'],
  appliesTo: needsHostUsers,
  run(_, { kubelets }) {
    return problemsOf(kubelets, ({ metrics }) => {
      if ('missing' in metrics) return unknown(`the metrics of the kubelet cannot be read: ${metrics.missing}`);
      const { userNamespaceErrors: count } = metrics.value;
      if (count === undefined)
        return unknown('the kubelet does not count them: it is older than 1.34, or its gate UserNamespacesSupport is off');
      if (count === 0) return undefined;
      return {
        level: 'warning',
        message: `${count} pods with a user namespace failed to start since the kubelet started`,
        remedy: '`cloister scan` names the pods that do not start now, with the cause. The log of the kubelet has the earlier ones.',
      };
    });
  },
});

export const cgroups = checkProfiles({
  id: 'cgroups',
  summary: 'The nodes have version 2 of control groups (--deep).',
  reads: ['kubelets'],
  levels: ['warning'],
  appliesTo: needsHostUsers,
  run(_, { kubelets }) {
    return problemsOf(kubelets, ({ metrics }) => {
      if ('missing' in metrics) return unknown(`the metrics of the kubelet cannot be read: ${metrics.missing}`);
      const { cgroupVersion } = metrics.value;
      if (cgroupVersion === undefined) return unknown('the kubelet does not report the version of control groups');
      if (cgroupVersion >= 2) return undefined;
      return {
        level: 'warning',
        message:
          'the node has version 1 of control groups: rootless engines set no limits for their containers, and kubelets from 1.35 on do not start by default',
        remedy: 'Move the nodes to version 2: boot them with systemd.unified_cgroup_hierarchy=1, or use a newer image.',
      };
    });
  },
});
