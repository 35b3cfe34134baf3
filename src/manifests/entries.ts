import { NAMESPACE_LABELS, PROFILE_LABEL } from '../core/labels.ts';
import type { PolicyConfig } from '../core/policy.ts';
import { LABELS } from './labels.ts';

/** The address at which the API server calls the webhook. */
export type Target = (
  | { readonly service: { readonly namespace: string; readonly name: string; readonly port?: number } }
  /** `https://host:port`, without a path. */
  | { readonly url: string }
) & {
  /** The trusted authorities, in PEM. Absent: those that the API server's machine trusts, or `cloister ensure` adds them later. */
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
  readonly matchConditions?: readonly { readonly name: string; readonly expression: string }[];
  readonly failurePolicy: 'Fail' | 'Ignore';
  readonly reinvocationPolicy?: 'IfNeeded';
  readonly timeoutSeconds: number;
  readonly matchPolicy: 'Equivalent';
  readonly sideEffects: 'None';
  readonly admissionReviewVersions: readonly ['v1'];
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

/** The API server calls mutating webhooks in the order of the names of their configurations; `zz-` puts this one after most others. */
export const MUTATING_CONFIGURATION = 'zz-cloister';
export const VALIDATING_CONFIGURATION = 'cloister';

/**
 * The webhook entries that assign profiles and modes to pods. The API server matches the labels, and the path of an entry contains what it
 * matched, so that the webhook server looks nothing up.
 */
export function entriesOf({ profiles }: PolicyConfig, target: Target): readonly [WebhookConfiguration, WebhookConfiguration] {
  const ids = [...profiles.keys()];
  const select = selectorsFor(target);
  const entry = (name: string, path: string, traits: Traits): Entry => ({
    name: `${name}.cloister.dev`,
    clientConfig: clientConfigOf(target, path),
    ...traits,
    matchPolicy: 'Equivalent',
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
  });

  const mutating = ids.flatMap((id) => [
    entry(`${id}.namespace.enforce`, `/mutate/${id}`, { ...MUTATE, ...select.labelledNamespace('enforce', id) }),
    entry(`${id}.pod.enforce`, `/mutate/${id}`, { ...MUTATE, ...select.optedInPod(id) }),
  ]);
  const validating = ids.flatMap((id) => [
    entry(`${id}.namespace.enforce`, `/validate/enforce/${id}`, { ...VALIDATE, ...ENFORCE, ...select.labelledNamespace('enforce', id) }),
    entry(`${id}.pod.enforce`, `/validate/enforce/${id}`, { ...VALIDATE, ...ENFORCE, ...select.optedInPod(id) }),
    ...WATCHING.map((mode) =>
      entry(`${id}.namespace.${mode}`, `/validate/${mode}/${id}`, { ...VALIDATE, ...WATCH, ...select.labelledNamespace(mode, id) }),
    ),
    ...MODES.map((mode) => entry(`${id}.workload.${mode}`, `/advise/${mode}/${id}`, { ...ADVISE, ...select.labelledNamespace(mode, id) })),
  ]);
  // A label can name a profile that is not configured, also when no profile is: these entries always exist.
  const unknown = [
    entry('namespace.unknown.enforce', '/unknown/enforce', { ...UNKNOWN, ...ENFORCE, ...select.mislabelledNamespace('enforce', ids) }),
    entry('pod.unknown.enforce', '/unknown/enforce', { ...UNKNOWN, ...ENFORCE, ...select.mislabelledPod(ids) }),
    ...WATCHING.map((mode) =>
      entry(`namespace.unknown.${mode}`, `/unknown/${mode}`, { ...UNKNOWN, ...WATCH, ...select.mislabelledNamespace(mode, ids) }),
    ),
  ];
  return [
    configuration('MutatingWebhookConfiguration', MUTATING_CONFIGURATION, mutating),
    configuration('ValidatingWebhookConfiguration', VALIDATING_CONFIGURATION, [...validating, ...unknown]),
  ];
}

type Mode = keyof typeof NAMESPACE_LABELS;
type Traits = Omit<Entry, 'name' | 'clientConfig' | 'matchPolicy' | 'sideEffects' | 'admissionReviewVersions'>;
type Selectors = Pick<Entry, 'namespaceSelector' | 'objectSelector'>;

const MODES = ['enforce', 'warn', 'audit'] as const satisfies readonly Mode[];
const WATCHING = ['warn', 'audit'] as const satisfies readonly Mode[];

const resources = (group: string, names: readonly string[], operations: ResourceRule['operations']): ResourceRule => ({
  apiGroups: [group],
  apiVersions: ['v1'],
  operations,
  resources: names,
  scope: 'Namespaced',
});

/** Conditions skip updates of other metadata, such as finalizers, so that a pod can be deleted while the webhook is down. Subresources always match. */
const SPEC_CHANGED = [
  "request.operation != 'UPDATE'",
  "(has(request.subResource) && request.subResource != '')",
  'object.spec != oldObject.spec',
];
const CHANGED = {
  name: 'spec-labels-or-annotations-change',
  expression: [
    ...SPEC_CHANGED,
    'object.metadata.?labels.orValue({}) != oldObject.metadata.?labels.orValue({})',
    'object.metadata.?annotations.orValue({}) != oldObject.metadata.?annotations.orValue({})',
  ].join(' ||\n'),
};

const ENFORCE = { failurePolicy: 'Fail', timeoutSeconds: 5 } as const;
/** A short timeout, and a failure never rejects a pod. */
const WATCH = { failurePolicy: 'Ignore', timeoutSeconds: 2 } as const;

const MUTATE = {
  rules: [resources('', ['pods'], ['CREATE']), resources('', ['pods/ephemeralcontainers'], ['UPDATE'])],
  failurePolicy: 'Fail',
  reinvocationPolicy: 'IfNeeded',
  timeoutSeconds: 3,
} as const;

const VALIDATE = {
  rules: [resources('', ['pods'], ['CREATE', 'UPDATE']), resources('', ['pods/ephemeralcontainers', 'pods/resize'], ['UPDATE'])],
  matchConditions: [CHANGED],
} as const;

const ADVISE = {
  rules: [
    resources('apps', ['daemonsets', 'deployments', 'replicasets', 'statefulsets'], ['CREATE', 'UPDATE']),
    resources('batch', ['cronjobs', 'jobs'], ['CREATE', 'UPDATE']),
    resources('', ['podtemplates', 'replicationcontrollers'], ['CREATE', 'UPDATE']),
  ],
  ...WATCH,
} as const;

/** Where a label no longer names a profile, pods must still get no debug container, no other image, and no other nodes. */
const UNKNOWN = {
  rules: [resources('', ['pods'], ['CREATE', 'UPDATE']), resources('', ['pods/ephemeralcontainers'], ['UPDATE'])],
  matchConditions: [{ name: 'spec-changes', expression: SPEC_CHANGED.join(' ||\n') }],
} as const;

/** The API server sets this label and users cannot change it, so that only it may exclude a namespace. */
const NAME_LABEL = 'kubernetes.io/metadata.name';
const SYSTEM_NAMESPACES = ['kube-node-lease', 'kube-system'];

function selectorsFor(target: Target) {
  const own = 'service' in target ? [target.service.namespace] : [];
  const outside: Requirement = { key: NAME_LABEL, operator: 'NotIn', values: [...new Set([...SYSTEM_NAMESPACES, ...own])].sort() };
  const namespaces = (...requirements: Requirement[]): Selector => ({ matchExpressions: [...requirements, outside] });
  const unlabelled = namespaces({ key: NAMESPACE_LABELS.enforce, operator: 'DoesNotExist' });
  return {
    /** All pods of namespaces that name the profile: no label of a pod can avoid it. */
    labelledNamespace: (mode: Mode, id: string): Selectors => ({
      namespaceSelector: namespaces({ key: NAMESPACE_LABELS[mode], operator: 'In', values: [id] }),
    }),
    /** Pods that name the profile, in namespaces that enforce no profile. */
    optedInPod: (id: string): Selectors => ({
      namespaceSelector: unlabelled,
      objectSelector: { matchExpressions: [{ key: PROFILE_LABEL, operator: 'In', values: [id] }] },
    }),
    mislabelledNamespace: (mode: Mode, ids: readonly string[]): Selectors => ({
      namespaceSelector: namespaces(...namesNoneOf(NAMESPACE_LABELS[mode], ids)),
    }),
    mislabelledPod: (ids: readonly string[]): Selectors => ({
      namespaceSelector: unlabelled,
      objectSelector: { matchExpressions: namesNoneOf(PROFILE_LABEL, ids) },
    }),
  };
}

/** `NotIn` alone also matches objects without the label, and must not be empty. */
function namesNoneOf(key: string, ids: readonly string[]): Requirement[] {
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
