import { NAMESPACE_LABELS } from '../../core/labels.ts';
import { matchesAny } from '../../core/name-pattern.ts';
import { isOfBackstop } from '../../core/object-names.ts';
import { checkCluster, LEFT_OUT, type Problem, printObjects } from '../check.ts';
import type { ObjectDrift, ServingPodFact } from '../facts.ts';
import { isNeverGoverned } from '../in-force.ts';

const DAY_MS = 86_400_000;
const printDate = (date: Date): string => date.toISOString().slice(0, 16).replace('T', ' ');

export const podsReady = checkCluster({
  id: 'pods-ready',
  summary: 'Serving pods are ready, on more than one node.',
  reads: ['deployment', 'ownPods'],
  levels: ['error', 'warning'],
  run({ deployment, ownPods }, { service: { namespace, name } }) {
    const title = `Deployment ${namespace}/${name}`;
    const ready = ownPods.filter(({ isReady }) => isReady);
    if (deployment === undefined) {
      return [
        {
          level: 'error',
          objects: [title],
          message: `there is no ${title}`,
          remedy: 'Install the chart, or name the Service with --service.',
        },
      ];
    }
    if (ready.length === 0) {
      const message = `no serving pod is ready: no governed pod can be created`;
      return [{ level: 'error', objects: [title], message, remedy: `See \`kubectl -n ${namespace} describe pods\`.` }];
    }
    if (ready.length === 1) {
      const message = 'one serving pod is ready: while it restarts, no governed pod can be created';
      return [
        { level: 'warning', objects: [title], message, remedy: 'Set `replicas` to 2 or more, and see why the others are not ready.' },
      ];
    }
    const nodes = new Set(ready.map(({ node }) => node));
    if (nodes.size > 1) return [];
    const message = `all ${ready.length} ready pods are on node ${ready[0]?.node ?? '(unknown)'}: while that node is down, no governed pod can be created`;
    return [
      {
        level: 'warning',
        objects: [title],
        message,
        remedy: 'Delete one of the pods, so that it is scheduled again, and see the topology spread constraints.',
      },
    ];
  },
});

export const podsConfig = checkCluster({
  id: 'pods-config',
  summary: 'Every serving pod runs this version and this configuration.',
  reads: ['servingPods'],
  levels: ['warning'],
  run({ servingPods }, { digest, version }) {
    if (servingPods.length === 0) return LEFT_OUT;
    const silent = servingPods.filter(({ problem }) => problem !== undefined);
    const answering = servingPods.filter(({ problem }) => problem === undefined);
    const others = answering.filter((pod) => pod.configuration !== digest);
    const versions = answering.filter((pod) => pod.version !== version);
    const of = servingPods.length;
    return [
      ...(others.length === 0
        ? []
        : [
            {
              level: 'warning',
              objects: others.map(({ address }) => address),
              message: `${others.length} of ${of} serving pods run another configuration than this one, ${digest.slice(0, 12)} (${printObjects(others.map(({ address }) => address))})`,
              remedy: 'Restart the Deployment, or name the configuration of the cluster with --config.',
            } as const,
          ]),
      ...(versions.length === 0
        ? []
        : [
            {
              level: 'warning',
              objects: versions.map(({ address }) => address),
              message: `${versions.length} of ${of} serving pods run another version than ${version} (${printObjects(versions.map((pod) => pod.version ?? 'not reported'))})`,
              remedy: 'Wait for the rollout, or use the cloister of the version that the cluster runs.',
            } as const,
          ]),
      ...unreachable(silent),
    ];
  },
});

/** Serving pods have addresses that are often reachable from inside the cluster only. */
function unreachable(silent: readonly { readonly address: string; readonly problem: string | undefined }[]): Problem[] {
  const [first] = silent;
  if (first === undefined) return [];
  return [
    {
      level: 'unknown',
      objects: silent.map(({ address }) => address),
      message: `${printObjects(silent.map(({ address }) => address))} cannot be asked from here: ${first.problem}`,
      remedy: 'Run this command in the cluster, or forward the ports of a pod and name them with --serving-endpoints.',
    },
  ];
}

export const entriesDrift = checkCluster({
  id: 'entries-drift',
  summary: 'The webhook entries are those of the configuration.',
  reads: ['entryDrift'],
  levels: ['error', 'warning'],
  run: ({ entryDrift }) => [
    ...entryDrift.flatMap((each) => driftProblem(each, 'governed pods are not judged as the configuration says')),
    ...entryDrift
      .filter(({ foreign }) => foreign.length > 0)
      .map(
        ({ title, foreign }): Problem => ({
          level: 'warning',
          objects: foreign,
          message: `${title} has entries that the configuration does not give (${printObjects(foreign)})`,
          remedy: 'Run `cloister ensure`, which removes them.',
        }),
      ),
  ],
});

function driftProblem({ title, isMissing, differences, isHandsOff }: ObjectDrift, effect: string): Problem[] {
  const runEnsure = isHandsOff
    ? 'Remove its annotation cloister.dev/hands-off, and run `cloister ensure`.'
    : 'Run `cloister ensure`; with --dry-run it prints the differences.';
  if (isMissing) return [{ level: 'error', objects: [title], message: `${title} is missing: ${effect}`, remedy: runEnsure }];
  const [first] = differences;
  if (first === undefined) return [];
  const more = differences.length === 1 ? '' : ` (and ${differences.length - 1} more)`;
  return [{ level: 'error', objects: [title], message: `${title} has changed: ${first}${more}`, remedy: runEnsure }];
}

export const entriesBackend = checkCluster({
  id: 'entries-backend',
  summary: 'The serving pods know every profile that the entries name.',
  reads: ['entryDrift', 'servingPods'],
  levels: ['error'],
  run({ entryDrift, servingPods }, { digest }) {
    if (servingPods.length === 0) return LEFT_OUT;
    const answering = servingPods.filter(({ configuration }) => configuration !== undefined);
    const silent = unreachable(servingPods.filter(({ configuration }) => configuration === undefined));
    const stale = answering.filter(({ configuration }) => configuration !== digest);
    const areWritten = entryDrift.every(({ isMissing, differences }) => !isMissing && differences.length === 0);
    if (!areWritten || stale.length === 0) return silent;
    return [
      ...silent,
      {
        level: 'error',
        objects: stale.map(({ address }) => address),
        message: `the entries are those of configuration ${digest.slice(0, 12)}, and ${stale.length} of ${answering.length} serving pods run another one. A call for a profile that a serving pod does not have fails`,
        remedy: 'Wait for the rollout, or restart the Deployment.',
      },
    ];
  },
});

/** The certificates that serving pods presented (`shown`), and the problems of the pods whose certificate could not be read (`silent`). */
function certificatesOf(pods: readonly ServingPodFact[]) {
  return {
    shown: pods.flatMap(({ address, leaf }) => (leaf === undefined ? [] : [{ address, ...leaf }])),
    silent: unreachable(pods.filter(({ leaf }) => leaf === undefined)),
  };
}

export const caMatches = checkCluster({
  id: 'ca-matches',
  summary: 'Every entry trusts the certificate that the serving pods present.',
  reads: ['servingPods'],
  levels: ['error'],
  run({ servingPods }, { service }) {
    if (servingPods.length === 0) return LEFT_OUT;
    const { shown, silent } = certificatesOf(servingPods);
    const distrusted = shown.filter(({ distrustedBy }) => distrustedBy.length > 0);
    const misnamed = shown.filter(({ coversService }) => !coversService);
    return [
      ...(distrusted.length === 0
        ? []
        : [
            {
              level: 'error',
              objects: [...new Set(distrusted.flatMap(({ distrustedBy }) => distrustedBy))],
              message: `the caBundle of ${printObjects([...new Set(distrusted.flatMap(({ distrustedBy }) => distrustedBy))])} does not verify the certificate of ${printObjects(distrusted.map(({ address }) => address))}: every call fails with "certificate signed by unknown authority"`,
              remedy: 'Run `cloister ensure`; where cert-manager manages the certificates, check its CA injector.',
            } as const,
          ]),
      ...(misnamed.length === 0
        ? []
        : [
            {
              level: 'error',
              objects: misnamed.map(({ address }) => address),
              message: `the certificate of ${printObjects(misnamed.map(({ address }) => address))} does not cover ${service.name}.${service.namespace}.svc: every call fails`,
              remedy: 'Run `cloister ensure`; where another tool issues the certificate, add that DNS name.',
            } as const,
          ]),
      ...silent,
    ];
  },
});

export const certExpiry = checkCluster({
  id: 'cert-expiry',
  summary: 'Each serving certificate has at least a third of its lifetime left.',
  reads: ['servingPods'],
  levels: ['error', 'warning'],
  run({ servingPods }, { now }) {
    if (servingPods.length === 0) return LEFT_OUT;
    const { shown, silent } = certificatesOf(servingPods);
    const problems = shown.flatMap(({ address, from, to }): Problem[] => {
      const leftMs = to.getTime() - now.getTime();
      const remedy = 'Restart the pod if `ensure-runs` is ok; otherwise see why `cloister ensure` has not renewed the certificate.';
      if (leftMs <= 0) {
        const message = `the certificate of ${address} expired at ${printDate(to)}: every call fails`;
        return [{ level: 'error', objects: [address], message, remedy }];
      }
      if (from > now) {
        const message = `the certificate of ${address} is not valid before ${printDate(from)}: every call fails until then`;
        return [{ level: 'error', objects: [address], message, remedy: 'Compare the clocks of the nodes and of the issuer.' }];
      }
      if (leftMs < DAY_MS)
        return [{ level: 'error', objects: [address], message: `the certificate of ${address} expires at ${printDate(to)}`, remedy }];
      if (leftMs >= (to.getTime() - from.getTime()) / 3) return [];
      return [
        {
          level: 'warning',
          objects: [address],
          message: `the certificate of ${address} expires at ${printDate(to)}: less than a third of its life is left`,
          remedy,
        },
      ];
    });
    return [...problems, ...silent];
  },
});

const CA_WARNING_DAYS = 30;

export const caExpiry = checkCluster({
  id: 'ca-expiry',
  summary: `Each trusted authority is valid for at least ${CA_WARNING_DAYS} more days.`,
  reads: ['authorities'],
  levels: ['warning'],
  run: ({ authorities }, { now }) =>
    authorities
      .filter(({ to }) => to.getTime() - now.getTime() < CA_WARNING_DAYS * DAY_MS)
      .map(({ serial, to }) => ({
        level: 'warning',
        objects: [`authority ${serial}`],
        message: `an authority in the caBundle of the entries ${to < now ? 'expired' : 'expires'} at ${printDate(to)} (serial ${serial})`,
        remedy: '`cloister ensure` renews an authority when two thirds of its life are over: check `ensure-runs`.',
      })),
});

const HOUR_MS = 3_600_000;

/** An upper bound of the time between two runs of a cron schedule: an hour, `n` hours, a day or a week. The schedule must run at least once a week. */
function periodMsOf(schedule: string): number {
  if (schedule === '@hourly') return HOUR_MS;
  if (schedule === '@daily' || schedule === '@midnight') return DAY_MS;
  const [, hours = '', ...days] = schedule.trim().split(/\s+/);
  if (days.length !== 3 || days.some((each) => each !== '*')) return 7 * DAY_MS;
  if (hours === '*') return HOUR_MS;
  const step = /^\*\/(\d{1,2})$/.exec(hours)?.[1];
  return step === undefined ? DAY_MS : Number(step) * HOUR_MS;
}

export const ensureRuns = checkCluster({
  id: 'ensure-runs',
  summary: 'The CronJob of `cloister ensure` has succeeded in one of its last three periods.',
  reads: ['ensureJob'],
  levels: ['error', 'warning'],
  run({ ensureJob }, { now, service: { namespace, name } }) {
    const title = `CronJob ${namespace}/${name}-ensure`;
    const seeLog = `See \`kubectl -n ${namespace} logs job/...\` of its last Job.`;
    if (ensureJob === undefined) {
      const message = `there is no ${title}: certificates are not renewed, and drift is not repaired`;
      return [
        { level: 'warning', objects: [title], message, remedy: 'Run `cloister ensure` every hour by other means, or install the chart.' },
      ];
    }
    if (ensureJob.isSuspended) {
      const message = `${title} is suspended: certificates are not renewed, and drift is not repaired`;
      return [{ level: 'error', objects: [title], message, remedy: 'Set `suspend` to false.' }];
    }
    const since = ensureJob.lastSuccess ?? ensureJob.created;
    if (since === undefined || now.getTime() - since.getTime() < 3 * periodMsOf(ensureJob.schedule)) return [];
    const last = ensureJob.lastSuccess === undefined ? 'has never succeeded' : `last succeeded at ${printDate(ensureJob.lastSuccess)}`;
    return [{ level: 'warning', objects: [title], message: `${title} ${last}`, remedy: seeLog }];
  },
});

export const serviceEndpoints = checkCluster({
  id: 'service-endpoints',
  summary: 'The Service has a ready endpoint.',
  reads: ['endpoints'],
  levels: ['error'],
  run({ endpoints }, { service: { namespace, name } }) {
    if (endpoints.some(({ isReady }) => isReady)) return [];
    const title = `Service ${namespace}/${name}`;
    const message =
      endpoints.length === 0
        ? `${title} has no endpoint: its selector matches no pod`
        : `none of the ${endpoints.length} endpoints of ${title} is ready`;
    return [
      {
        level: 'error',
        objects: [title],
        message,
        remedy: 'Compare the selector of the Service with the labels of the pods, and see `pods-ready`.',
      },
    ];
  },
});

export const labelPolicy = checkCluster({
  id: 'label-policy',
  summary: 'The policies that protect the labels are those of the configuration.',
  reads: ['hasPolicies', 'policyDrift'],
  levels: ['error'],
  run({ hasPolicies, policyDrift }) {
    if (!hasPolicies) return LEFT_OUT;
    return policyDrift.flatMap((each) => {
      const isBackstop = isOfBackstop(each.title.split(' ')[1] ?? '');
      const consequence = isBackstop
        ? 'pods can escape their profile while no webhook answers, or are all refused'
        : 'tenants can change the labels that govern them';
      return driftProblem(each, consequence);
    });
  },
});

export const handsOff = checkCluster({
  id: 'hands-off',
  summary: 'No object is excluded from `cloister ensure`.',
  reads: ['entryDrift', 'policyDrift'],
  levels: ['warning'],
  run({ entryDrift, policyDrift }) {
    const marked = [...entryDrift, ...policyDrift].filter(({ isHandsOff }) => isHandsOff).map(({ title }) => title);
    if (marked.length === 0) return [];
    return [
      {
        level: 'warning',
        objects: marked,
        message: `${printObjects(marked)}: the annotation cloister.dev/hands-off keeps \`cloister ensure\` from repairing them`,
        remedy: 'Remove the annotation when the emergency is over.',
      },
    ];
  },
});

export const labelExcluded = checkCluster({
  id: 'label-excluded',
  summary: 'Namespaces that Cloister never governs have no label of Cloister.',
  reads: ['namespaces'],
  levels: ['warning'],
  run({ namespaces }, context) {
    const found = namespaces
      .filter(({ name, labels }) => isNeverGoverned(name, context) && Object.values(NAMESPACE_LABELS).some((label) => label in labels))
      .map(({ name }) => name);
    if (found.length === 0) return [];
    return [
      {
        level: 'warning',
        objects: found,
        message: `the label of ${printObjects(found)} has no effect: Cloister never governs such a namespace`,
        remedy: 'Remove the label, and run workspaces in another namespace.',
      },
    ];
  },
});

const EXEMPTION_WARNING_DAYS = 14;

export const exemptions = checkCluster({
  id: 'exemptions',
  summary: `Every exemption is in force for at least ${EXEMPTION_WARNING_DAYS} more days, and matches a namespace.`,
  reads: ['namespaces'],
  levels: ['warning', 'info'],
  run({ namespaces }, { exemptions: written, now }) {
    if (written.length === 0) return LEFT_OUT;
    return written.flatMap(({ expires, reason, namespaces: patterns }, index): Problem[] => {
      const title = `exemptions[${index}]`;
      if (expires.getTime() - now.getTime() < EXEMPTION_WARNING_DAYS * DAY_MS) {
        const message = `${title} (${reason}) ${expires <= now ? 'expired' : 'expires'} at ${printDate(expires)}: pods that need it are refused from then on`;
        return [{ level: 'warning', objects: [title], message, remedy: 'Renew or remove the exemption.' }];
      }
      if (namespaces.some(({ name }) => matchesAny(patterns, name))) return [];
      const message = `${title} (${reason}) matches no namespace of the cluster`;
      return [{ level: 'info', objects: [title], message, remedy: 'Correct its `namespaces`, or remove it.' }];
    });
  },
});

export const disruption = checkCluster({
  id: 'disruption',
  summary: 'A drain of a node can evict a serving pod, but never all serving pods at once.',
  reads: ['deployment', 'budgets'],
  levels: ['warning'],
  run({ deployment, budgets }, { service: { namespace, name } }) {
    if (deployment === undefined || deployment.replicas < 2) return LEFT_OUT;
    const [budget] = budgets;
    if (budget === undefined) {
      const title = `Deployment ${namespace}/${name}`;
      const message = `no PodDisruptionBudget is in ${namespace}: a drain may evict every pod of ${title} at once, and no governed pod can be created`;
      return [
        { level: 'warning', objects: [title], message, remedy: 'Create the PodDisruptionBudget of the chart (`podDisruptionBudget`).' },
      ];
    }
    const blocked = budgets.filter(
      (each) => each.disruptionsAllowed === 0 && each.currentHealthy >= each.expectedPods && each.expectedPods > 0,
    );
    return blocked.map((each) => ({
      level: 'warning',
      objects: [`PodDisruptionBudget ${namespace}/${each.name}`],
      message: `PodDisruptionBudget ${namespace}/${each.name} allows no eviction although all ${each.expectedPods} pods are healthy: a drain of their nodes never ends`,
      remedy: 'Set `maxUnavailable: 1` in it.',
    }));
  },
});

/** Source: the admission plug-in ResourceQuota, as GKE configures it; kubernetes/kubernetes#76308. */
const SCOPE_MESSAGE = 'insufficient quota to match these scopes';

export const priorityQuota = checkCluster({
  id: 'priority-quota',
  summary: 'The priority class of the serving pods is allowed in their namespace.',
  reads: ['deployment'],
  levels: ['error'],
  run({ deployment }, { service: { namespace } }) {
    if (deployment === undefined) return LEFT_OUT;
    const failure = deployment.failures.find((each) => each.includes(SCOPE_MESSAGE));
    if (failure === undefined) return [];
    return [
      {
        level: 'error',
        objects: [`Namespace ${namespace}`],
        message: `serving pods cannot be created in ${namespace}: "${SCOPE_MESSAGE}"`,
        remedy: 'Set `priorityQuota: true` in the chart: it creates a ResourceQuota for the priority class.',
      },
    ];
  },
});
