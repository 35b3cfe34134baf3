import type { X509Certificate } from 'node:crypto';
import { differences } from '../cluster/difference.ts';
import { type LiveObject, titleOf } from '../cluster/object.ts';
import type { ServingPod } from '../cluster/serving.ts';
import { isOfBackstop, MISSING_POLICY } from '../core/object-names.ts';
import type { Entry, WebhookConfiguration } from '../manifests/entries.ts';
import type { Manifest } from '../manifests/policies.ts';
import type { Service } from '../manifests/rbac.ts';
import { certificatesIn } from '../tls/pem.ts';
import { isSignedBy } from '../tls/renewal.ts';
import { type Certificates, certificatesOf } from './certificates.ts';
import { authoritiesOf, bundleOf, decode, encode, entriesIn, isHandsOff, liveConfigurations, namesOf, secretsOf } from './objects.ts';
import type { DesiredState, ObservedState, Plan } from './types.ts';
import { printAuthorities, printDifference, printEntryDifferences } from './wording.ts';

/**
 * What `cloister ensure` has to do, as a pure function of the observed state. The plan is made again after each step. A run may
 * end at any point, or meet another run: the next run continues from what it observes.
 *
 * A new authority is published beside the previous one, and then signs the serving certificate. The previous one is dropped when no pod presents,
 * or may start with, a certificate of it.
 */
export function makePlan(observed: ObservedState, desired: DesiredState, now: Date): Plan {
  const certificates = desired.certificates === 'ensure' ? certificatesOf(observed, desired, now) : undefined;
  const parts = [
    ...desired.policies.map((each) => planPolicy(each, observed, desired)),
    ...leftoverBindings(observed, desired).map(planRemoval),
    ...(certificates === undefined ? [] : [planAuthority(certificates, observed, desired)]),
    ...desired.configurations.map((each) => planConfiguration(each, { observed, desired, certificates, now })),
    ...(certificates === undefined ? [] : [planServing(certificates, observed, desired)]),
  ];
  return {
    steps: parts.flatMap(({ steps = [] }) => steps),
    waiting: parts.flatMap(({ waiting = [] }) => waiting),
    handsOff: parts.flatMap(({ handsOff = [] }) => handsOff),
    previousAuthorities: certificates?.previousAuthorities ?? [],
  };
}

type PartialPlan = { readonly [Field in 'steps' | 'waiting' | 'handsOff']?: Plan[Field] };

function planPolicy(policy: Manifest, { objects, pods }: ObservedState, desired: DesiredState): PartialPlan {
  const live = objects.get(titleOf(policy));
  const owner = ownerOf(policy, desired);
  const liveOwner = owner && objects.get(titleOf(owner));
  // The owner is created first.
  if (owner !== undefined && liveOwner === undefined) return {};
  const ownerReferences = liveOwner && [ownerReferenceTo(liveOwner)];
  const object = ownerReferences === undefined ? policy : { ...policy, metadata: { ...policy.metadata, ownerReferences } };
  if (live === undefined) return { steps: [{ do: 'create', object, why: ['there is none'] }] };
  const why = [
    ...differences(live.spec, policy.spec, ['spec']),
    ...(ownerReferences === undefined ? [] : differences(live.metadata.ownerReferences, ownerReferences, ['metadata', 'ownerReferences'])),
  ].map(printDifference);
  if (why.length === 0) return {};
  if (isHandsOff(live)) return { handsOff: [{ object, why }] };
  const fields = { spec: policy.spec, ...(ownerReferences && { metadata: { ...live.metadata, ownerReferences } }) };
  const step = { do: 'update', object, live, fields, why } as const;
  // The policy of a profile would refuse what pods with another configuration still repair: it changes with the entries. A pod that does not answer repairs nothing.
  const until =
    owner === undefined ? [] : pods.flatMap((pod) => (pod.isReady && pod.problem === undefined ? (outdatedBy(pod, desired) ?? []) : []));
  return until.length === 0 ? { steps: [step] } : { waiting: [{ step, until }] };
}

/**
 * The binding that owns the policy of a profile, so that the cluster deletes the policy with it: without the binding, the policy applies to nothing. `ensure`
 * and Helm then need no right to delete policies.
 */
function ownerOf({ kind, metadata: { name } }: Manifest, { policies }: DesiredState): Manifest | undefined {
  if (kind !== 'ValidatingAdmissionPolicy') return undefined;
  return policies.find((each) => each.kind === 'ValidatingAdmissionPolicyBinding' && each.metadata.name === `${name}-namespace`);
}

function ownerReferenceTo({ apiVersion, kind, metadata: { name, uid = '' } }: LiveObject): object {
  return { apiVersion, kind, name, uid };
}

/**
 * The bindings of profiles that are no longer configured, or of all of them once their policies are switched off. Those that refuse pods while a policy is
 * missing come first, because a policy is deleted with its first binding.
 */
function leftoverBindings({ backstopBindings }: ObservedState, { policies }: DesiredState): readonly LiveObject[] {
  const wanted = new Set(policies.map(titleOf));
  const leftover = backstopBindings.filter((each) => isOfBackstop(each.metadata.name) && !wanted.has(titleOf(each)));
  const refusesWithoutPolicy = ({ metadata: { name } }: LiveObject): boolean => name.startsWith(MISSING_POLICY);
  return [...leftover.filter(refusesWithoutPolicy), ...leftover.filter((each) => !refusesWithoutPolicy(each))];
}

function planRemoval(live: LiveObject): PartialPlan {
  const why = ['the configuration has no such profile, or no such policies'];
  return isHandsOff(live) ? { handsOff: [{ object: live, why }] } : { steps: [{ do: 'delete', object: live, live, why }] };
}

function planAuthority(certificates: Certificates, { objects }: ObservedState, desired: DesiredState): PartialPlan {
  const object = secretsOf(desired).authority;
  const { authority, authorityDue, previousAuthorities } = certificates;
  const live = objects.get(titleOf(object));
  if (live === undefined) return { steps: [{ do: 'create', object, why: ['there is none'] }] };
  if (authorityDue !== undefined) {
    if (isHandsOff(live)) return { handsOff: [{ object, why: [authorityDue] }] };
    const untrusting = authority === undefined ? [] : liveConfigurations(desired, objects).filter(isHandsOff);
    if (untrusting.length > 0) {
      const why = `${authorityDue}; but this authority is kept, because ${untrusting.map(titleOf).join(' and ')}, marked hands-off, would not trust a new one`;
      return { handsOff: [{ object, why: [why] }] };
    }
    const before = authority === undefined ? [] : [{ certificate: authority.chain[0], reason: 'it was the current authority until now' }];
    return {
      steps: [{ do: 'issue-authority', object, live, previousAuthorities: [...before, ...previousAuthorities], why: [authorityDue] }],
    };
  }
  if (authority === undefined) return {};

  const bundle = bundleOf(authority.chain[0], previousAuthorities);
  const found = decode(live, 'ca.crt');
  if (found === bundle) return {};
  const why = [`ca.crt holds ${printAuthorities(certificatesIn(found))} instead of ${printAuthorities(certificatesIn(bundle))}`];
  if (isHandsOff(live)) return { handsOff: [{ object, why }] };
  const data = { ...(live.data as object), 'ca.crt': encode(bundle) };
  return { steps: [{ do: 'update', object, live, fields: { data }, why }] };
}

function planServing(certificates: Certificates, { objects }: ObservedState, desired: DesiredState): PartialPlan {
  const object = secretsOf(desired).serving;
  const { authority, servingDue, isServingCurrent } = certificates;
  const live = objects.get(titleOf(object));
  if (live === undefined) return { steps: [{ do: 'create', object, why: ['there is none'] }] };
  if (servingDue === undefined) return {};
  if (isHandsOff(live)) return { handsOff: [{ object, why: [servingDue] }] };
  if (authority === undefined) return {};

  const callers = liveConfigurations(desired, objects);
  const untrusting = callers.filter((each) => !entriesIn(each).every((entry) => trusts(entry, authority.chain[0])));
  const stuck = untrusting.filter(isHandsOff);
  if (stuck.length > 0) {
    return {
      handsOff: [
        {
          object,
          why: [`${servingDue}; but this certificate is kept, because ${stuck.map(titleOf).join(' and ')} would not trust its successor`],
        },
      ],
    };
  }
  // The other configurations are updated to trust the authority first.
  if (untrusting.length > 0) return {};
  const isNewToApiServers = !isServingCurrent && callers.length > 0;
  return { steps: [{ do: 'issue-serving', object, live, authority, isNewToApiServers, why: [servingDue] }] };
}

function trusts(entry: Entry, authority: X509Certificate): boolean {
  return authoritiesOf(entry).some(({ fingerprint256 }) => fingerprint256 === authority.fingerprint256);
}

interface ConfigurationContext {
  readonly observed: ObservedState;
  readonly desired: DesiredState;
  readonly certificates: Certificates | undefined;
  readonly now: Date;
}

/** Entries and their caBundle are written together. Until the serving pods run the desired version, only the caBundle of existing entries changes. */
function planConfiguration(
  configuration: WebhookConfiguration,
  { observed, desired, certificates, now }: ConfigurationContext,
): PartialPlan {
  const { apiVersion, kind, metadata } = configuration;
  const object = { apiVersion, kind, metadata };
  const live = observed.objects.get(titleOf(object));
  if (live === undefined) return { steps: [{ do: 'create', object, why: ['there is none'] }] };

  // Without an authority, entries keep their caBundle, and no pod counts as trusted below.
  const trusted = certificates === undefined ? '' : bundleOf(certificates.authority?.chain[0], certificates.previousAuthorities);
  const bundle = trusted === '' ? undefined : encode(trusted);
  const found = entriesIn(live);
  const entries = configuration.webhooks.map((entry) => withBundle(entry, bundle ?? currentBundleOf(entry, found)));
  const why = printEntryDifferences(found, entries);
  if (why.length === 0) return {};
  if (isHandsOff(live)) return { handsOff: [{ object, why }] };

  const update = (webhooks: readonly Entry[]) =>
    ({ do: 'update', object, live, fields: { webhooks }, why: printEntryDifferences(found, webhooks) }) as const;
  const until = blockersOf(observed.pods, { desired, certificates, now, isEmptied: found.length === 0 });
  if (until.length === 0) return { steps: [update(entries)] };

  const kept = bundle === undefined ? found : found.map((entry) => withBundle(entry, bundle));
  const first = update(kept);
  return {
    steps: first.why.length === 0 ? [] : [first],
    waiting: printEntryDifferences(kept, entries).length === 0 ? [] : [{ step: update(entries), until }],
  };
}

/** The caBundle that another tool wrote: that of the entry, or for a new entry that of its neighbours. */
function currentBundleOf({ name }: Entry, found: readonly Entry[]): string | undefined {
  const bundles = [...found.filter((each) => each.name === name), ...found].map(({ clientConfig }) => clientConfig.caBundle);
  return bundles.find((each) => each !== undefined);
}

function withBundle(entry: Entry, caBundle: string | undefined): Entry {
  return caBundle === undefined ? entry : { ...entry, clientConfig: { ...entry.clientConfig, caBundle } };
}

type PodContext = Omit<ConfigurationContext, 'observed'>;

/**
 * Why the API server cannot call the serving pods through the new entries yet. Without entries nothing is enforced, so one pod that answers is
 * enough, and others that do not answer cause no delay.
 */
function blockersOf(
  pods: readonly ServingPod[],
  { isEmptied, ...context }: PodContext & { readonly isEmptied: boolean },
): readonly string[] {
  const { service } = context.desired;
  const ready = pods.filter(({ isReady }) => isReady);
  if (ready.length === 0) return [`no serving pod of Service ${service.namespace}/${service.name} is ready`];
  const problems = ready.flatMap((pod) => problemOfPod(pod, context) ?? []);
  return isEmptied && problems.length < ready.length ? [] : problems;
}

function problemOfPod(pod: ServingPod, { desired, certificates, now }: PodContext): string | undefined {
  const known = pod.problem ?? outdatedBy(pod, desired);
  if (known !== undefined || certificates === undefined) return known;
  const problem = leafProblemOf(pod.leaf, { certificates, service: desired.service, now });
  return problem === undefined ? undefined : `${pod.address} presents a certificate that ${problem}`;
}

/** What else than the desired version and configuration the pod runs. */
function outdatedBy(pod: ServingPod, { version, configuration }: DesiredState): string | undefined {
  const { address } = pod;
  if (pod.version !== version) return `${address} runs version ${pod.version ?? '(not reported)'} instead of ${version}`;
  if (pod.configuration === configuration) return undefined;
  return `${address} runs configuration ${printDigest(pod.configuration)} instead of ${printDigest(configuration)}`;
}

interface LeafContext {
  readonly certificates: Certificates;
  readonly service: Service;
  readonly now: Date;
}

/** Why an API server would reject the certificate. */
function leafProblemOf(
  leaf: X509Certificate | undefined,
  { certificates: { authority, previousAuthorities }, service, now }: LeafContext,
): string | undefined {
  const trusted = [...(authority === undefined ? [] : [authority.chain[0]]), ...previousAuthorities.map(({ certificate }) => certificate)];
  if (leaf === undefined || !trusted.some((each) => isSignedBy(leaf, each))) return 'no trusted authority signed';
  const [name] = namesOf(service);
  if (leaf.checkHost(name, { subject: 'never' }) === undefined) return `does not cover ${name}`;
  return now < leaf.validToDate ? undefined : `expired at ${leaf.validToDate.toISOString()}`;
}

const printDigest = (digest: string | undefined): string => digest?.slice(0, 12) ?? '(not reported)';
