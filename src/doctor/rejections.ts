import type { Rejection } from './facts.ts';

/** What refused an object, as the message of the API server shows. */
export interface RejectionCause {
  readonly by:
    | 'rbac'
    | 'dry-run'
    | 'unreachable'
    | 'pod-security'
    | 'quota'
    | 'limit-range'
    | 'runtime-class'
    /** The webhook. */
    | 'cloister'
    /** A policy of the profiles. */
    | 'backstop'
    | 'label-policy'
    | 'webhook'
    | 'policy'
    /** Nothing: the API server is busy or fails, or the namespace is going away. */
    | 'nothing'
    | 'other';
  /** The name of the webhook that the message has. */
  readonly webhook?: string | undefined;
}

/** In this order: the first that matches counts. All of these messages come from an API server 1.36. */
const CAUSES: readonly (readonly [pattern: RegExp, by: RejectionCause['by']])[] = [
  [/does not support dry run/, 'dry-run'],
  [/failed(?: to call|calling)? (?:calling )?webhook "[^"]*\.cloister\.dev"/, 'unreachable'],
  [/failed calling webhook/, 'webhook'],
  [/violates PodSecurity/, 'pod-security'],
  [/exceeded quota|failed quota|insufficient quota/, 'quota'],
  [/(?:minimum|maximum) \S+ usage per|max limit to request ratio per|defaultRequest|limit range/, 'limit-range'],
  [/RuntimeClass "[^"]*" not found/, 'runtime-class'],
  [/admission webhook "[^"]*\.cloister\.dev" denied/, 'cloister'],
  [/ValidatingAdmissionPolicy 'cloister-namespace-labels'/, 'label-policy'],
  [/ValidatingAdmissionPolicy 'cloister-(?:profile-[^']*|unknown-profile|missing-policy)'/, 'backstop'],
  [/admission webhook "/, 'webhook'],
  [/ValidatingAdmissionPolicy '/, 'policy'],
  [/cannot (?:create|patch) resource/, 'rbac'],
  [/because it is being terminated/, 'nothing'],
];

const isNoDecision = (status: number): boolean => status === 404 || status === 429 || status >= 500;

export function rejectionOf({ message, status }: Rejection): RejectionCause {
  const [, by] = CAUSES.find(([pattern]) => pattern.test(message)) ?? [undefined, isNoDecision(status) ? 'nothing' : 'other'];
  return { by, webhook: /webhook "([^"]*)"/.exec(message)?.[1] };
}

/** For these causes, a rejected pod says nothing about Cloister. */
export const BLOCKED: readonly RejectionCause['by'][] = ['rbac', 'dry-run', 'nothing'];

/** What to do about a plain pod that was rejected. */
export const REMEDIES: Readonly<Record<RejectionCause['by'], string>> = {
  'pod-security': 'Change the level of the namespace, or of the default in the AdmissionConfiguration of the API server: see `psa-level`.',
  quota: 'Raise the ResourceQuota, or set requests and limits in the pods. The overhead of a RuntimeClass counts against it.',
  'limit-range': 'Change the LimitRange of the namespace, or the requests and limits of the pods.',
  'runtime-class': "Install the runtime with its RuntimeClass, or set the profile's `runtimeClassName`.",
  unreachable: 'See `reach`.',
  cloister: 'Read the message: another webhook or a feature gate has undone what Cloister wrote.',
  backstop:
    'Read the message. If it blames neither a webhook nor a feature gate, Cloister was not called (see `entries-drift`), or the policy of the profile is missing (see `label-policy`).',
  webhook: 'Ask the owner of that webhook, or exclude the namespace in its namespaceSelector.',
  'label-policy': '',
  policy: 'Ask the owner of that policy, or exclude the namespace in its binding.',
  rbac: '',
  'dry-run': '',
  nothing: '',
  other: 'Read the message of the API server.',
};

const MAX_MESSAGE_CHARS = 300;
/** A message of the API server, cut. */
export const excerpt = (text: string): string => (text.length <= MAX_MESSAGE_CHARS ? text : `${text.slice(0, MAX_MESSAGE_CHARS)}…`);
