import { MUTATING_CONFIGURATION, VALIDATING_CONFIGURATION } from '../../core/object-names.ts';
import { type Context, checkCluster, type Problem, printObjects } from '../check.ts';
import type { LabelSelector, Labels, LiveConfiguration, LiveEntry, Namespace } from '../facts.ts';
import { profileByModeIn } from '../in-force.ts';

interface OtherEntry {
  readonly configuration: LiveConfiguration;
  readonly entry: LiveEntry;
}

const OURS: readonly string[] = [MUTATING_CONFIGURATION, VALIDATING_CONFIGURATION];

/** The entries of other configurations that the API server calls when a pod is created. */
function entriesForPods(webhooks: readonly LiveConfiguration[]): readonly OtherEntry[] {
  return webhooks
    .filter(({ name }) => !OURS.includes(name))
    .flatMap((configuration) => configuration.entries.filter(coversPods).map((entry) => ({ configuration, entry })));
}

const coversPods = ({ rules = [] }: LiveEntry): boolean =>
  rules.some(
    ({ apiGroups = [], resources = [], operations = [] }) =>
      apiGroups.some((each) => each === '' || each === '*') &&
      resources.some((each) => each === 'pods' || each === '*' || each === '*/*') &&
      operations.some((each) => each === 'CREATE' || each === '*'),
  );

/** Whether a selector selects labels. An operator that is not known counts as a match. */
function selects({ matchLabels = {}, matchExpressions = [] }: LabelSelector = {}, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === 'In') return value !== undefined && values.includes(value);
      if (operator === 'NotIn') return value === undefined || !values.includes(value);
      if (operator === 'Exists') return value !== undefined;
      return operator !== 'DoesNotExist' || value === undefined;
    })
  );
}

const governed = (namespaces: readonly Namespace[], context: Context): readonly Namespace[] =>
  namespaces.filter((each) => profileByModeIn(each, context).enforce !== undefined);

const printEntry = ({ configuration, entry }: OtherEntry): string => `${entry.name} (${configuration.name})`;

const problem = (
  level: 'warning' | 'info',
  found: readonly OtherEntry[],
  message: (names: string) => string,
  remedy: string,
): Problem[] => {
  const objects = found.map(printEntry);
  return found.length === 0 ? [] : [{ level, objects, message: message(printObjects(objects)), remedy }];
};

export const otherMutating = checkCluster({
  id: 'other-mutating',
  summary: 'No other webhook changes governed pods after Cloister.',
  reads: ['webhooks', 'namespaces'],
  levels: ['warning', 'info'],
  run({ webhooks, namespaces }, context) {
    const reached = governed(namespaces, context);
    const later = entriesForPods(webhooks).filter(
      ({ configuration: { kind, name }, entry }) =>
        kind === 'MutatingWebhookConfiguration' &&
        name > MUTATING_CONFIGURATION &&
        reached.some(({ labels }) => selects(entry.namespaceSelector, labels)),
    );
    const isRepeated = ({ entry }: OtherEntry): boolean => entry.reinvocationPolicy === 'IfNeeded';
    const exclude =
      'Exclude namespaces with the label cloister.dev/enforce in its namespaceSelector, or give its configuration a name before zz-cloister.';
    return [
      ...problem(
        'warning',
        later.filter(isRepeated),
        (names) =>
          `called after Cloister, and once more after the repeated call of Cloister (reinvocationPolicy: IfNeeded): ${names}. Changes of this last call are not repaired, and the pod is refused if a rule forbids them`,
        exclude,
      ),
      ...problem(
        'info',
        later.filter((each) => !isRepeated(each)),
        (names) => `called after Cloister: ${names}. The API server calls Cloister again if the pod changes`,
        'Nothing, unless pods are refused: then exclude namespaces with the label cloister.dev/enforce in its namespaceSelector.',
      ),
    ];
  },
});

export const otherMap = checkCluster({
  id: 'other-map',
  summary: 'No MutatingAdmissionPolicy changes pods.',
  reads: ['mutatingPolicies'],
  levels: ['info'],
  run({ mutatingPolicies }) {
    const found = mutatingPolicies
      .filter(({ resources }) => resources.some((each) => ['pods', '*', '*/*'].includes(each)))
      .map(({ name }) => name);
    if (found.length === 0) return [];
    const message = `the MutatingAdmissionPolicies ${printObjects(found)} change pods: they are evaluated before webhooks, and Cloister judges the result`;
    return [{ level: 'info', objects: found, message, remedy: 'Nothing, unless pods are refused because of what such a policy sets.' }];
  },
});

export const otherValidating = checkCluster({
  id: 'other-validating',
  summary: 'No other webhook can keep the pods of Cloister from starting.',
  reads: ['webhooks', 'namespaces'],
  levels: ['error', 'warning'],
  run({ webhooks, namespaces }, context) {
    const { namespace } = context.service;
    const own = namespaces.find(({ name }) => name === namespace)?.labels ?? { 'kubernetes.io/metadata.name': namespace };
    const covering = entriesForPods(webhooks).filter(
      ({ entry }) => entry.failurePolicy !== 'Ignore' && selects(entry.namespaceSelector, own),
    );
    const isGoverned = new Set(governed(namespaces, context).map(({ name }) => name));
    const waits = ({ entry }: OtherEntry): boolean => isGoverned.has(entry.clientConfig.service?.namespace ?? '');
    const remedy = `Exclude the namespace ${namespace} in its namespaceSelector, by the label kubernetes.io/metadata.name.`;
    const deadlocked = covering.filter(waits).map(printEntry);
    return [
      ...(deadlocked.length === 0
        ? []
        : [
            {
              level: 'error',
              objects: deadlocked,
              message: `${printObjects(deadlocked)} must admit the pods of ${namespace}, and Cloister must admit the pods of that webhook: after an outage of both, neither can start`,
              remedy,
            } as const,
          ]),
      ...problem(
        'warning',
        covering.filter((each) => !waits(each)),
        (names) => `${names} must admit the pods of ${namespace}: while it is down, Cloister cannot start`,
        remedy,
      ),
    ];
  },
});

/** The API server ends a request that creates an object after 34 s. Source: k8s.io/apiserver pkg/endpoints/handlers, requestTimeoutUpperBound. */
const TIMEOUT_BUDGET_SECONDS = 25;
/** The default of `timeoutSeconds`. */
const DEFAULT_TIMEOUT_SECONDS = 10;

export const timeouts = checkCluster({
  id: 'timeouts',
  summary: 'The timeouts of all webhooks that are called for a governed pod fit together into the timeout of the request.',
  reads: ['webhooks', 'namespaces'],
  levels: ['warning'],
  run({ webhooks, namespaces }, context) {
    const [first, ...others] = governed(namespaces, context).flatMap(({ name, labels }) => {
      const met = webhooks.flatMap(({ kind, entries }) =>
        entries
          .filter((entry) => coversPods(entry) && selects(entry.namespaceSelector, labels) && !isForOptIn(entry))
          .map(({ timeoutSeconds = DEFAULT_TIMEOUT_SECONDS }) => ({ kind, timeoutSeconds })),
      );
      const secondsOf = (kind: LiveConfiguration['kind']): number[] =>
        met.filter((each) => each.kind === kind).map((each) => each.timeoutSeconds);
      // Mutating webhooks are called one after another, validating ones together.
      const mutating = secondsOf('MutatingWebhookConfiguration').reduce((sum, each) => sum + each, 0);
      const seconds = mutating + Math.max(0, ...secondsOf('ValidatingWebhookConfiguration'));
      return seconds > TIMEOUT_BUDGET_SECONDS ? [{ name, seconds }] : [];
    });
    if (first === undefined) return [];
    const objects = [first, ...others].map(({ name }) => name);
    return [
      {
        level: 'warning',
        objects,
        message: `the webhooks for a pod in ${printObjects(objects)} may take ${first.seconds} s together, and the API server ends the request after 34 s`,
        remedy: 'Lower `timeoutSeconds` of the other mutating webhooks: 10 s is their default.',
      },
    ];
  },
});

/** The entries of Cloister for namespaces that enforce nothing, or that are governed by name. */
const isForOptIn = ({ name, matchConditions = [] }: LiveEntry): boolean =>
  /\.cloister\.dev$/.test(name) && (matchConditions.length > 1 || /\.pod\./.test(name));

export const duplicate = checkCluster({
  id: 'duplicate',
  summary: 'One Cloister is installed in the cluster.',
  reads: ['webhooks'],
  levels: ['error'],
  run({ webhooks }) {
    const found = webhooks
      .filter(({ name, entries }) => !OURS.includes(name) && entries.some((entry) => /\.cloister\.dev$/.test(entry.name)))
      .map(({ kind, name }) => `${kind} ${name}`);
    if (found.length === 0) return [];
    return [
      {
        level: 'error',
        objects: found,
        message: `entries of another Cloister: ${printObjects(found)}. Both repair and judge the same pods, by two configurations`,
        remedy: 'Delete the one that is not in use.',
      },
    ];
  },
});
