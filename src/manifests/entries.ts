import { NAMESPACE_LABELS, PROFILE_LABEL } from '../core/labels.ts';
import type { Offer } from '../core/policy.ts';
import { LABELS } from './labels.ts';

/** Where the API server finds the webhook server. */
export type Target = (
  | { readonly service: { readonly namespace: string; readonly name: string; readonly port?: number } }
  /** `https://host:port`, without a path. */
  | { readonly url: string }
) & {
  /** The certificates, in PEM, by which it is known. Absent: those that the API server's machine trusts, or those still to be written. */
  readonly ca?: string;
};

export interface WebhookConfiguration {
  readonly apiVersion: 'admissionregistration.k8s.io/v1';
  readonly kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration';
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly webhooks: readonly Entry[];
}

/** One webhook, by the names that the API server knows. */
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

/** The API server calls mutating webhooks in the order of their configurations' names; the later ours comes, the less comes after it. */
export const MUTATING_CONFIGURATION = 'zz-cloister';
export const VALIDATING_CONFIGURATION = 'cloister';

/**
 * The webhook entries that tie pods to profiles and modes. Labels are matched by the API server, and the path of an entry says what it
 * matched, so that the server behind it needs to look nothing up.
 */
export function entriesOf({ profiles }: Offer, target: Target): readonly [WebhookConfiguration, WebhookConfiguration] {
  const ids = [...profiles.keys()];
  const where = placesFor(target);
  const entry = (name: string, path: string, traits: Traits): Entry => ({
    name: `${name}.cloister.dev`,
    clientConfig: clientConfigOf(target, path),
    ...traits,
    matchPolicy: 'Equivalent',
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
  });

  const mutating = ids.flatMap((id) => [
    entry(`${id}.namespace.enforce`, `/mutate/${id}`, { ...MUTATE, ...where.labelled('enforce', id) }),
    entry(`${id}.pod.enforce`, `/mutate/${id}`, { ...MUTATE, ...where.optedIn(id) }),
  ]);
  const validating = ids.flatMap((id) => [
    entry(`${id}.namespace.enforce`, `/validate/enforce/${id}`, { ...VALIDATE, ...ENFORCE, ...where.labelled('enforce', id) }),
    entry(`${id}.pod.enforce`, `/validate/enforce/${id}`, { ...VALIDATE, ...ENFORCE, ...where.optedIn(id) }),
    ...WATCHING.map((mode) =>
      entry(`${id}.namespace.${mode}`, `/validate/${mode}/${id}`, { ...VALIDATE, ...WATCH, ...where.labelled(mode, id) }),
    ),
    ...MODES.map((mode) => entry(`${id}.workload.${mode}`, `/advise/${mode}/${id}`, { ...ADVISE, ...where.labelled(mode, id) })),
  ]);
  // A label may name what is not configured whatever is: these stay when nothing is.
  const unknown = [
    entry('namespace.unknown.enforce', '/unknown/enforce', { ...NEW_CONTAINERS, ...ENFORCE, ...where.mislabelled('enforce', ids) }),
    entry('pod.unknown.enforce', '/unknown/enforce', { ...NEW_CONTAINERS, ...ENFORCE, ...where.misdirected(ids) }),
    ...WATCHING.map((mode) =>
      entry(`namespace.unknown.${mode}`, `/unknown/${mode}`, { ...NEW_PODS, ...WATCH, ...where.mislabelled(mode, ids) }),
    ),
  ];
  return [
    configuration('MutatingWebhookConfiguration', MUTATING_CONFIGURATION, mutating),
    configuration('ValidatingWebhookConfiguration', VALIDATING_CONFIGURATION, [...validating, ...unknown]),
  ];
}

type Mode = keyof typeof NAMESPACE_LABELS;
type Traits = Omit<Entry, 'name' | 'clientConfig' | 'matchPolicy' | 'sideEffects' | 'admissionReviewVersions'>;
type Place = Pick<Entry, 'namespaceSelector' | 'objectSelector'>;

const MODES = ['enforce', 'warn', 'audit'] as const satisfies readonly Mode[];
const WATCHING = ['warn', 'audit'] as const satisfies readonly Mode[];

const resources = (group: string, names: readonly string[], operations: ResourceRule['operations']): ResourceRule => ({
  apiGroups: [group],
  apiVersions: ['v1'],
  operations,
  resources: names,
  scope: 'Namespaced',
});

/** Keeps away updates of finalizers, owners and the like, so that no pod waits for us to end. Subresources always come. */
const CHANGED = {
  name: 'spec-labels-or-annotations-change',
  expression: [
    "request.operation != 'UPDATE'",
    "(has(request.subResource) && request.subResource != '')",
    'object.spec != oldObject.spec',
    'object.metadata.?labels.orValue({}) != oldObject.metadata.?labels.orValue({})',
    'object.metadata.?annotations.orValue({}) != oldObject.metadata.?annotations.orValue({})',
  ].join(' ||\n'),
};

const ENFORCE = { failurePolicy: 'Fail', timeoutSeconds: 5 } as const;
/** Short, and never in a pod's way. */
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

const NEW_PODS = { rules: [resources('', ['pods'], ['CREATE'])] } as const;
/** A namespace whose label no longer names a profile must not become one where debug containers may do anything. */
const NEW_CONTAINERS = { rules: [...NEW_PODS.rules, resources('', ['pods/ephemeralcontainers'], ['UPDATE'])] } as const;

/** `kubernetes.io/metadata.name` is written by the API server and cannot be changed: no other label may take a namespace out. */
const NAME = 'kubernetes.io/metadata.name';
const SYSTEM_NAMESPACES = ['kube-node-lease', 'kube-system'];

function placesFor(target: Target) {
  const own = 'service' in target ? [target.service.namespace] : [];
  const outside: Requirement = { key: NAME, operator: 'NotIn', values: [...new Set([...SYSTEM_NAMESPACES, ...own])].sort() };
  const namespaces = (...requirements: Requirement[]): Selector => ({ matchExpressions: [...requirements, outside] });
  const unlabelled = namespaces({ key: NAMESPACE_LABELS.enforce, operator: 'DoesNotExist' });
  return {
    /** Namespaces that name the profile, with whatever pods: what the pods say cannot lead past it. */
    labelled: (mode: Mode, id: string): Place => ({
      namespaceSelector: namespaces({ key: NAMESPACE_LABELS[mode], operator: 'In', values: [id] }),
    }),
    /** Pods that name the profile, in namespaces that enforce none. */
    optedIn: (id: string): Place => ({
      namespaceSelector: unlabelled,
      objectSelector: { matchExpressions: [{ key: PROFILE_LABEL, operator: 'In', values: [id] }] },
    }),
    mislabelled: (mode: Mode, ids: readonly string[]): Place => ({
      namespaceSelector: namespaces(...namesNoneOf(NAMESPACE_LABELS[mode], ids)),
    }),
    misdirected: (ids: readonly string[]): Place => ({
      namespaceSelector: unlabelled,
      objectSelector: { matchExpressions: namesNoneOf(PROFILE_LABEL, ids) },
    }),
  };
}

/** `NotIn` alone also matches where the label is missing, and may not be empty. */
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
