import { type Governance, SYSTEM_NAMESPACES } from '../core/governance.ts';
import { NAMESPACE_LABELS, PROFILE_LABEL } from '../core/labels.ts';
import { MUTATING_CONFIGURATION, VALIDATING_CONFIGURATION } from '../core/object-names.ts';
import type { PolicyConfig } from '../core/policy.ts';
import type { Mode } from '../core/request-record.ts';
import { governedWhere } from './governed.ts';
import { LABELS } from './labels.ts';

/** The part of the configuration from which the objects in the cluster are rendered. */
export interface ClusterConfig {
  readonly profiles: PolicyConfig['profiles'];
  readonly governance: Governance;
  readonly timeoutSeconds?: EntryTimeouts;
}

/** How many seconds the API server waits for an answer. Absent: the default of the kind of entry. */
export interface EntryTimeouts {
  /** Of entries that repair. */
  readonly mutate?: number | undefined;
  /** Of validating entries that enforce. */
  readonly enforce?: number | undefined;
  /** Of entries that only warn, audit or advise. */
  readonly watch?: number | undefined;
}

/** The address at which the API server calls the webhook. */
export type Target = (
  | { readonly service: { readonly namespace: string; readonly name: string; readonly port?: number } }
  /** `https://host:port`, without a path. */
  | { readonly url: string }
) & {
  /** The trusted authorities, in PEM. Absent: the API server uses the authorities that its machine trusts, or `cloister ensure` adds them later. */
  readonly ca?: string;
};

export interface WebhookConfiguration {
  readonly apiVersion: 'admissionregistration.k8s.io/v1';
  readonly kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration';
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly webhooks: readonly Entry[];
}

/** One webhook, as the Kubernetes API defines it. */
export interface Entry {
  readonly name: string;
  readonly clientConfig: ClientConfig;
  readonly rules: readonly ResourceRule[];
  readonly namespaceSelector: Selector;
  readonly objectSelector?: Selector;
  readonly matchConditions?: readonly MatchCondition[];
  readonly failurePolicy: 'Fail' | 'Ignore';
  readonly reinvocationPolicy?: 'IfNeeded';
  readonly timeoutSeconds: number;
  readonly matchPolicy: 'Equivalent';
  readonly sideEffects: 'None';
  readonly admissionReviewVersions: readonly ['v1'];
}

export interface MatchCondition {
  readonly name: string;
  readonly expression: string;
}

export interface ClientConfig {
  readonly service?: { readonly namespace: string; readonly name: string; readonly port: number; readonly path: string };
  readonly url?: string;
  readonly caBundle?: string;
}

export interface ResourceRule {
  readonly apiGroups: readonly string[];
  readonly apiVersions: readonly string[];
  readonly operations: readonly ('CREATE' | 'UPDATE')[];
  readonly resources: readonly string[];
  readonly scope: 'Namespaced';
}

export interface Selector {
  readonly matchExpressions: readonly Requirement[];
}

export type Requirement =
  | { readonly key: string; readonly operator: 'In' | 'NotIn'; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: 'Exists' | 'DoesNotExist' };

/** The profile that an entry assigns; undefined: the entry is for labels that name no profile. */
export function profileOfEntry({ clientConfig: { service, url } }: Entry): string | undefined {
  const path = service?.path ?? new URL(url ?? 'https://unknown/').pathname;
  return /^\/(?:mutate|validate\/\w+|advise\/\w+)\/([^/]+)$/.exec(path)?.[1];
}

/** Name of the match condition that selects the namespaces which the configuration governs by name. */
export const GOVERNED_BY_NAME = 'governed-by-name';

/**
 * The webhook entries that assign profiles and modes to pods. The API server matches the labels, or the name of a namespace without a label.
 * The URL path of an entry contains its profile and mode, so that the webhook server looks nothing up.
 */
export function entriesOf(
  { profiles, governance, timeoutSeconds = {} }: ClusterConfig,
  target: Target,
): readonly [WebhookConfiguration, WebhookConfiguration] {
  const ids = [...profiles.keys()];
  const select = selectionsFor(governance, target);
  const entry = (name: string, path: string, { traits, selection }: { readonly traits: Traits; readonly selection: Selection }): Entry => {
    const { condition, ...selectors } = selection;
    const { timeout, ...fixed } = traits;
    return {
      name: `${name}.cloister.dev`,
      clientConfig: clientConfigOf(target, path),
      ...fixed,
      timeoutSeconds: timeoutSeconds[timeout] ?? TIMEOUT_SECONDS[timeout],
      ...(condition && { matchConditions: [...(traits.matchConditions ?? []), condition] }),
      ...selectors,
      matchPolicy: 'Equivalent',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    };
  };
  /**
   * Two entries: one for namespaces whose label names the profile, and one for namespaces that the configuration governs by name, if there are any.
   */
  const ofNamespaces = (
    id: string,
    mode: Mode,
    { path, traits, labelled, governed }: { readonly path: string; readonly traits: Traits } & EntryNames,
  ): readonly Entry[] => {
    const byName = select.governedNamespace(mode, id);
    return [
      entry(`${id}.${labelled}.${mode}`, path, { traits, selection: select.labelledNamespace(mode, id) }),
      ...(byName === undefined ? [] : [entry(`${id}.${governed}.${mode}`, path, { traits, selection: byName })]),
    ];
  };

  const mutating = ids.flatMap((id) => [
    ...ofNamespaces(id, 'enforce', { path: `/mutate/${id}`, traits: MUTATE, ...OF_PODS }),
    entry(`${id}.pod.enforce`, `/mutate/${id}`, { traits: MUTATE, selection: select.optedInPod(id) }),
  ]);
  const validating = ids.flatMap((id) => [
    ...ofNamespaces(id, 'enforce', { path: `/validate/enforce/${id}`, traits: VALIDATE_ENFORCE, ...OF_PODS }),
    entry(`${id}.pod.enforce`, `/validate/enforce/${id}`, { traits: VALIDATE_ENFORCE, selection: select.optedInPod(id) }),
    ...WATCHING.flatMap((mode) => ofNamespaces(id, mode, { path: `/validate/${mode}/${id}`, traits: VALIDATE_WATCH, ...OF_PODS })),
    ...MODES.flatMap((mode) => ofNamespaces(id, mode, { path: `/advise/${mode}/${id}`, traits: ADVISE, ...OF_WORKLOADS })),
  ]);
  // A label can name a profile that is not configured. Therefore these entries always exist, even if no profile is configured.
  const unknown = [
    entry('namespace.unknown.enforce', '/unknown/enforce', {
      traits: UNKNOWN_ENFORCE,
      selection: select.mislabelledNamespace('enforce', ids),
    }),
    entry('pod.unknown.enforce', '/unknown/enforce', { traits: UNKNOWN_ENFORCE, selection: select.mislabelledPod(ids) }),
    ...WATCHING.map((mode) =>
      entry(`namespace.unknown.${mode}`, `/unknown/${mode}`, { traits: UNKNOWN_WATCH, selection: select.mislabelledNamespace(mode, ids) }),
    ),
  ];
  return [
    configuration('MutatingWebhookConfiguration', MUTATING_CONFIGURATION, mutating),
    configuration('ValidatingWebhookConfiguration', VALIDATING_CONFIGURATION, [...validating, ...unknown]),
  ];
}

/** The middle part of the name of each of the two entries: for namespaces with a label, and for namespaces that are governed by name. */
interface EntryNames {
  readonly labelled: string;
  readonly governed: string;
}
const OF_PODS: EntryNames = { labelled: 'namespace', governed: 'governed' };
const OF_WORKLOADS: EntryNames = { labelled: 'workload', governed: 'governed.workload' };

type Selectors = Pick<Entry, 'namespaceSelector' | 'objectSelector'>;
type Traits = Omit<
  Entry,
  'name' | 'clientConfig' | 'timeoutSeconds' | 'matchPolicy' | 'sideEffects' | 'admissionReviewVersions' | keyof Selectors
> & {
  readonly timeout: keyof EntryTimeouts;
};
/** The requests that an entry is for. */
type Selection = Selectors & { readonly condition?: MatchCondition };

const MODES = ['enforce', 'warn', 'audit'] as const satisfies readonly Mode[];
const WATCHING = ['warn', 'audit'] as const satisfies readonly Mode[];

const resources = (group: string, names: readonly string[], operations: ResourceRule['operations']): ResourceRule => ({
  apiGroups: [group],
  apiVersions: ['v1'],
  operations,
  resources: names,
  scope: 'Namespaced',
});

/**
 * The API server calls the webhook for an update only if one of these holds. An update of finalizers alone does not reach the webhook, so a pod can be
 * deleted while the webhook is down. Updates of subresources always reach it.
 */
export const SPEC_CHANGED = [
  "request.operation != 'UPDATE'",
  "(has(request.subResource) && request.subResource != '')",
  'object.spec != oldObject.spec',
];
export const CHANGED = {
  name: 'spec-labels-or-annotations-change',
  expression: [
    ...SPEC_CHANGED,
    'object.metadata.?labels.orValue({}) != oldObject.metadata.?labels.orValue({})',
    'object.metadata.?annotations.orValue({}) != oldObject.metadata.?annotations.orValue({})',
  ].join(' ||\n'),
};

const TIMEOUT_SECONDS = { mutate: 3, enforce: 5, watch: 2 } as const satisfies EntryTimeouts;

const ENFORCE = { failurePolicy: 'Fail', timeout: 'enforce' } as const;
/** For modes that only report: the timeout is short, and a failed call never rejects a pod. */
const WATCH = { failurePolicy: 'Ignore', timeout: 'watch' } as const;

const MUTATE = {
  rules: [resources('', ['pods'], ['CREATE']), resources('', ['pods/ephemeralcontainers'], ['UPDATE'])],
  failurePolicy: 'Fail',
  reinvocationPolicy: 'IfNeeded',
  timeout: 'mutate',
} as const;

const VALIDATE = {
  rules: [resources('', ['pods'], ['CREATE', 'UPDATE']), resources('', ['pods/ephemeralcontainers', 'pods/resize'], ['UPDATE'])],
  matchConditions: [CHANGED],
} as const;
const VALIDATE_ENFORCE = { ...VALIDATE, ...ENFORCE } as const;
const VALIDATE_WATCH = { ...VALIDATE, ...WATCH } as const;

const ADVISE = {
  rules: [
    resources('apps', ['daemonsets', 'deployments', 'replicasets', 'statefulsets'], ['CREATE', 'UPDATE']),
    resources('batch', ['cronjobs', 'jobs'], ['CREATE', 'UPDATE']),
    resources('', ['podtemplates', 'replicationcontrollers'], ['CREATE', 'UPDATE']),
  ],
  ...WATCH,
} as const;

/** Where a label no longer names a profile, updates that add a debug container, change an image or change the choice of nodes must still be refused. */
const UNKNOWN = {
  rules: [resources('', ['pods'], ['CREATE', 'UPDATE']), resources('', ['pods/ephemeralcontainers'], ['UPDATE'])],
  matchConditions: [{ name: 'spec-changes', expression: SPEC_CHANGED.join(' ||\n') }],
} as const;
const UNKNOWN_WATCH = { ...UNKNOWN, ...WATCH } as const;
const UNKNOWN_ENFORCE = { ...UNKNOWN, ...ENFORCE } as const;

/** The API server sets this label, and users cannot change it. A namespace must not be excluded by a label that its users can set. */
export const NAME_LABEL = 'kubernetes.io/metadata.name';

/** The namespaces that Cloister never governs: those of the system, its own, and those that the configuration excludes. */
export function ungovernedNamespaces({ excluded = [] }: Governance, target: Target): readonly string[] {
  const own = 'service' in target ? [target.service.namespace] : [];
  return [...new Set([...SYSTEM_NAMESPACES, ...own, ...excluded])].sort();
}

function selectionsFor(governance: Governance, target: Target) {
  const outside: Requirement = { key: NAME_LABEL, operator: 'NotIn', values: ungovernedNamespaces(governance, target) };
  const namespaces = (...requirements: Requirement[]): Selector => ({ matchExpressions: [...requirements, outside] });
  const unlabelled = (mode: Mode): Selector => namespaces({ key: NAMESPACE_LABELS[mode], operator: 'DoesNotExist' });
  const ungoverned = governedWhere(({ enforce }) => enforce === undefined, governance);
  const unenforced: Selection = {
    namespaceSelector: unlabelled('enforce'),
    ...(ungoverned !== 'true' && { condition: { name: 'no-profile-is-enforced-by-name', expression: ungoverned } }),
  };
  return {
    /** All pods of namespaces that name the profile: no label of a pod can avoid it. */
    labelledNamespace: (mode: Mode, id: string): Selection => ({
      namespaceSelector: namespaces({ key: NAMESPACE_LABELS[mode], operator: 'In', values: [id] }),
    }),
    /** The same, for namespaces that lack the label and that the configuration governs by name. undefined: there are none. */
    governedNamespace(mode: Mode, id: string): Selection | undefined {
      const expression = governedWhere((profiles) => profiles[mode] === id, governance);
      if (expression === 'false') return undefined;
      return { namespaceSelector: unlabelled(mode), condition: { name: GOVERNED_BY_NAME, expression } };
    },
    /** Pods that name the profile, in namespaces that enforce no profile. */
    optedInPod: (id: string): Selection => ({
      ...unenforced,
      objectSelector: { matchExpressions: [{ key: PROFILE_LABEL, operator: 'In', values: [id] }] },
    }),
    mislabelledNamespace: (mode: Mode, ids: readonly string[]): Selection => ({
      namespaceSelector: namespaces(...namesNoneOf(NAMESPACE_LABELS[mode], ids)),
    }),
    mislabelledPod: (ids: readonly string[]): Selection => ({
      ...unenforced,
      objectSelector: { matchExpressions: namesNoneOf(PROFILE_LABEL, ids) },
    }),
  };
}

/** `NotIn` alone also matches objects without the label, and its list of values must not be empty. */
export function namesNoneOf(key: string, ids: readonly string[]): Requirement[] {
  return [{ key, operator: 'Exists' }, ...(ids.length === 0 ? [] : [{ key, operator: 'NotIn', values: ids } as const])];
}

const HTTPS_PORT = 443;

function clientConfigOf(target: Target, path: string): ClientConfig {
  const caBundle = target.ca === undefined ? {} : { caBundle: Buffer.from(target.ca).toString('base64') };
  if ('url' in target) return { url: target.url + path, ...caBundle };
  const { namespace, name, port = HTTPS_PORT } = target.service;
  return { service: { namespace, name, port, path }, ...caBundle };
}

function configuration(kind: WebhookConfiguration['kind'], name: string, webhooks: readonly Entry[]): WebhookConfiguration {
  return { apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata: { name, labels: LABELS }, webhooks };
}
