import type { X509Certificate } from 'node:crypto';
import { type Difference, differences } from '../cluster/difference.ts';
import { type LiveObject, type Reference, titleOf } from '../cluster/object.ts';
import type { ServingPod } from '../cluster/serving.ts';
import { HANDS_OFF_ANNOTATION } from '../core/labels.ts';
import { printPath } from '../core/path.ts';
import type { Entry, WebhookConfiguration } from '../manifests/entries.ts';
import { LABELS } from '../manifests/labels.ts';
import type { Manifest } from '../manifests/policies.ts';
import { authoritySecretOf, type CertificateKeeper, type Service, servingSecretOf } from '../manifests/rbac.ts';
import { issuedAt } from '../tls/certificate.ts';
import { certificatesIn, type Issued, type KeyPair, parseKeyPair } from '../tls/pem.ts';
import { checkRenewal, isSignedBy } from '../tls/renewal.ts';
import { findTrustedPredecessors, type TrustedAuthority } from '../tls/trust.ts';

/**
 * What `cloister ensure` is to do, as a pure function of what there is. It is asked anew after each step, so that a run which ends anywhere,
 * or meets another one, leaves nothing that the next does not find.
 *
 * A new authority is published beside the one before it, then signs the serving certificate, and is alone only when no pod presents or may
 * start with a certificate of its predecessor.
 */

/** What is to be. */
export interface Wanted {
  readonly service: Service;
  readonly certificates: CertificateKeeper;
  /** Without a caBundle. */
  readonly configurations: readonly WebhookConfiguration[];
  readonly policies: readonly Manifest[];
  /** What the serving pods must run before the API server is told to call them so. */
  readonly version: string;
  readonly configuration: string;
  /** How long after a new serving certificate a pod may still start with the one before. */
  readonly overlapMs: number;
}

/** What there is. */
export interface Seen {
  /** By title. */
  readonly objects: ReadonlyMap<string, LiveObject>;
  readonly servers: readonly ServingPod[];
}

export interface Plan {
  /** What can be done now, in this order. */
  readonly steps: readonly Step[];
  /** What is to be done once the serving pods are as far. */
  readonly waiting: readonly Waiting[];
  /** What an operator wants left alone, and how it differs from what it should be. */
  readonly left: readonly Left[];
  /** Authorities before the one in force that are still trusted. */
  readonly beside: readonly TrustedAuthority[];
}

export type Step = { readonly object: Reference; readonly why: readonly string[] } & (
  | { readonly do: 'create' }
  | { readonly do: 'update'; readonly live: LiveObject; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly do: 'issue-authority'; readonly live: LiveObject; readonly beside: readonly TrustedAuthority[] }
  | { readonly do: 'issue-serving'; readonly live: LiveObject; readonly authority: Issued; readonly isNewToApiServers: boolean }
);

export interface Waiting {
  readonly step: Extract<Step, { do: 'update' }>;
  readonly until: readonly string[];
}

export interface Left {
  readonly object: Reference;
  readonly why: readonly string[];
}

/** The Secrets, whose contents are made rather than wanted. */
export function secretsOf({ service }: Wanted): { readonly authority: Reference; readonly serving: Reference } {
  const secret = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: service.namespace, labels: LABELS },
    type: 'kubernetes.io/tls',
    // Which this type must have.
    data: { 'tls.crt': '', 'tls.key': '' },
  });
  return { authority: secret(authoritySecretOf(service)), serving: secret(servingSecretOf(service)) };
}

/** As the cluster's DNS has it: `name.namespace.svc` is what API servers ask for. */
export function namesOf({ namespace, name }: Service): readonly [string, ...string[]] {
  return [`${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`, `${name}.${namespace}`];
}

export function planOf(seen: Seen, wanted: Wanted, now: Date): Plan {
  const certificates = wanted.certificates === 'ensure' ? certificatesOf(seen, wanted, now) : undefined;
  const parts = [
    ...wanted.policies.map((each) => policyPart(each, seen)),
    ...(certificates === undefined ? [] : [authorityPart(certificates, seen, wanted)]),
    ...wanted.configurations.map((each) => configurationPart(each, { seen, wanted, certificates, now })),
    ...(certificates === undefined ? [] : [servingPart(certificates, seen, wanted)]),
  ];
  return {
    steps: parts.flatMap(({ steps = [] }) => steps),
    waiting: parts.flatMap(({ waiting = [] }) => waiting),
    left: parts.flatMap(({ left = [] }) => left),
    beside: certificates?.beside ?? [],
  };
}

type Part = { readonly [Field in 'steps' | 'waiting' | 'left']?: Plan[Field] };

function isHandsOff({ metadata }: LiveObject): boolean {
  const mark = metadata.annotations?.[HANDS_OFF_ANNOTATION];
  // Whoever writes anything but false into it means it.
  return mark !== undefined && mark !== 'false';
}

function policyPart(policy: Manifest, { objects }: Seen): Part {
  const live = objects.get(titleOf(policy));
  if (live === undefined) return { steps: [{ do: 'create', object: policy, why: ['there is none'] }] };
  const why = differences(live.spec, policy.spec, ['spec']).map(tell);
  if (why.length === 0) return {};
  if (isHandsOff(live)) return { left: [{ object: policy, why }] };
  return { steps: [{ do: 'update', object: policy, live, fields: { spec: policy.spec }, why }] };
}

/** The state of the certificates. */
interface Certificates {
  /** The authority in force, while it is good for something. */
  readonly authority: KeyPair | undefined;
  /** Why it is to be replaced. */
  readonly authorityDue: string | undefined;
  readonly beside: readonly TrustedAuthority[];
  readonly servingDue: string | undefined;
  /** Whether the serving certificate is signed by the authority in force. */
  readonly isServingCurrent: boolean;
}

function certificatesOf({ objects, servers }: Seen, wanted: Wanted, now: Date): Certificates {
  const secrets = secretsOf(wanted);
  const authoritySecret = objects.get(titleOf(secrets.authority));
  const authorityFound = pairIn(authoritySecret);
  const authorityRenewal = checkRenewal(authorityFound.pair?.chain[0], { names: [] }, now);
  const isUsable = authorityFound.pair?.chain[0].ca === true && now < authorityFound.pair.chain[0].validToDate;
  const authority = isUsable ? authorityFound.pair : undefined;
  const authorityDue =
    authorityFound.problem ??
    (authorityFound.pair?.chain[0].ca === false ? 'its certificate is no authority' : undefined) ??
    (authorityRenewal.isDue ? authorityRenewal.reason : undefined);

  const servingFound = pairIn(objects.get(titleOf(secrets.serving)));
  const serving = servingFound.pair?.chain[0];
  const servingRenewal = checkRenewal(
    serving,
    { names: namesOf(wanted.service), ...(authority && { authority: authority.chain[0] }) },
    now,
  );
  const isServingCurrent = serving !== undefined && authority !== undefined && isSignedBy(serving, authority.chain[0]);

  const beside = findTrustedPredecessors(
    authority?.chain[0],
    {
      remembered: certificatesIn(decoded(authoritySecret, 'ca.crt')),
      published: wanted.configurations.flatMap((each) => entriesIn(objects.get(titleOf(each))).flatMap(authoritiesOf)),
      leaves: [
        ...(serving === undefined ? [] : [{ certificate: serving, where: titleOf(secrets.serving) }]),
        ...servers.flatMap(({ address, leaf }) => (leaf === undefined ? [] : [{ certificate: leaf, where: address }])),
      ],
      unknown: servers.filter(({ leaf }) => leaf === undefined).map(({ address }) => address),
      overlapEnds: isServingCurrent ? new Date(issuedAt(serving).getTime() + wanted.overlapMs) : undefined,
    },
    now,
  );
  return {
    authority,
    authorityDue,
    beside,
    servingDue: servingFound.problem ?? (servingRenewal.isDue ? servingRenewal.reason : undefined),
    isServingCurrent,
  };
}

function pairIn(secret: LiveObject | undefined): { readonly pair?: KeyPair; readonly problem?: string } {
  const certificate = decoded(secret, 'tls.crt');
  const key = decoded(secret, 'tls.key');
  if (certificate === '' && key === '') return { problem: 'there is none yet' };
  const parsed = parseKeyPair({ certificate, key });
  return parsed.ok ? { pair: parsed.value } : { problem: PAIR_PROBLEMS[parsed.error] };
}

const PAIR_PROBLEMS = {
  certificate: 'its tls.crt is no certificate',
  key: 'its tls.key is not the key of its tls.crt',
  mismatch: 'its tls.key is not the key of its tls.crt',
};

function decoded(secret: LiveObject | undefined, name: string): string {
  const data = secret?.data as Readonly<Record<string, string>> | undefined;
  return Buffer.from(data?.[name] ?? '', 'base64').toString('latin1');
}

/** Of an authority and those trusted beside it, as one PEM text. */
export function bundleOf(authority: X509Certificate | undefined, beside: readonly TrustedAuthority[]): string {
  return [...(authority === undefined ? [] : [authority]), ...beside.map(({ certificate }) => certificate)].map(String).join('');
}

function authorityPart(certificates: Certificates, { objects }: Seen, wanted: Wanted): Part {
  const object = secretsOf(wanted).authority;
  const { authority, authorityDue, beside } = certificates;
  const live = objects.get(titleOf(object));
  if (live === undefined) return { steps: [{ do: 'create', object, why: ['there is none'] }] };
  if (authorityDue !== undefined) {
    if (isHandsOff(live)) return { left: [{ object, why: [authorityDue] }] };
    const distrustful = authority === undefined ? [] : liveConfigurations(wanted, objects).filter(isHandsOff);
    if (distrustful.length > 0) {
      const why = `${authorityDue}; but it stays, because nobody may tell ${distrustful.map(titleOf).join(' and ')} to trust its successor`;
      return { left: [{ object, why: [why] }] };
    }
    const before = authority === undefined ? [] : [{ certificate: authority.chain[0], reason: 'it was in force until now' }];
    return { steps: [{ do: 'issue-authority', object, live, beside: [...before, ...beside], why: [authorityDue] }] };
  }
  if (authority === undefined) return {};

  const bundle = bundleOf(authority.chain[0], beside);
  const found = decoded(live, 'ca.crt');
  if (found === bundle) return {};
  const why = [`ca.crt holds ${listed(certificatesIn(found))} instead of ${listed(certificatesIn(bundle))}`];
  if (isHandsOff(live)) return { left: [{ object, why }] };
  const data = { ...(live.data as object), 'ca.crt': encoded(bundle) };
  return { steps: [{ do: 'update', object, live, fields: { data }, why }] };
}

function servingPart(certificates: Certificates, { objects }: Seen, wanted: Wanted): Part {
  const object = secretsOf(wanted).serving;
  const { authority, servingDue, isServingCurrent } = certificates;
  const live = objects.get(titleOf(object));
  if (live === undefined) return { steps: [{ do: 'create', object, why: ['there is none'] }] };
  if (servingDue === undefined) return {};
  if (isHandsOff(live)) return { left: [{ object, why: [servingDue] }] };
  if (authority === undefined) return {};

  const callers = liveConfigurations(wanted, objects);
  const distrustful = callers.filter((each) => !entriesIn(each).every((entry) => trusts(entry, authority.chain[0])));
  const stuck = distrustful.filter(isHandsOff);
  if (stuck.length > 0) {
    return {
      left: [{ object, why: [`${servingDue}; but it stays, because ${stuck.map(titleOf).join(' and ')} would not trust its successor`] }],
    };
  }
  // Those that are not stuck are told of the authority first.
  if (distrustful.length > 0) return {};
  const isNewToApiServers = !isServingCurrent && callers.length > 0;
  return { steps: [{ do: 'issue-serving', object, live, authority, isNewToApiServers, why: [servingDue] }] };
}

/** Those by which the API server calls somebody. */
function liveConfigurations({ configurations }: Wanted, objects: Seen['objects']): readonly LiveObject[] {
  return configurations.flatMap((each) => objects.get(titleOf(each)) ?? []).filter((each) => entriesIn(each).length > 0);
}

function entriesIn(configuration: LiveObject | undefined): readonly Entry[] {
  return (configuration?.webhooks ?? []) as readonly Entry[];
}

function authoritiesOf({ clientConfig }: Entry): readonly X509Certificate[] {
  return certificatesIn(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString('latin1'));
}

function trusts(entry: Entry, authority: X509Certificate): boolean {
  return authoritiesOf(entry).some(({ fingerprint256 }) => fingerprint256 === authority.fingerprint256);
}

interface Context {
  readonly seen: Seen;
  readonly wanted: Wanted;
  readonly certificates: Certificates | undefined;
  readonly now: Date;
}

/** Entries and caBundle are written together. While the serving pods are not as far as the entries, the entries stay, and only what they trust changes. */
function configurationPart(configuration: WebhookConfiguration, { seen, wanted, certificates, now }: Context): Part {
  const { apiVersion, kind, metadata } = configuration;
  const object = { apiVersion, kind, metadata };
  const live = seen.objects.get(titleOf(object));
  if (live === undefined) return { steps: [{ do: 'create', object, why: ['there is none'] }] };

  // Without an authority, entries keep what they trust, and no pod is taken for trusted below.
  const trusted = certificates === undefined ? '' : bundleOf(certificates.authority?.chain[0], certificates.beside);
  const bundle = trusted === '' ? undefined : encoded(trusted);
  const found = entriesIn(live);
  const entries = configuration.webhooks.map((entry) => withBundle(entry, bundle ?? bundleFor(entry, found)));
  const why = entryDifferences(found, entries);
  if (why.length === 0) return {};
  if (isHandsOff(live)) return { left: [{ object, why }] };

  const update = (webhooks: readonly Entry[]) =>
    ({ do: 'update', object, live, fields: { webhooks }, why: entryDifferences(found, webhooks) }) as const;
  const until = blockersOf(seen.servers, { wanted, certificates, now });
  if (until.length === 0) return { steps: [update(entries)] };

  const kept = bundle === undefined ? found : found.map((entry) => withBundle(entry, bundle));
  const first = update(kept);
  return {
    steps: first.why.length === 0 ? [] : [first],
    waiting: entryDifferences(kept, entries).length === 0 ? [] : [{ step: update(entries), until }],
  };
}

/** Somebody else's: as it is, and for a new entry as its neighbours'. */
function bundleFor({ name }: Entry, found: readonly Entry[]): string | undefined {
  const bundles = [...found.filter((each) => each.name === name), ...found].map(({ clientConfig }) => clientConfig.caBundle);
  return bundles.find((each) => each !== undefined);
}

function withBundle(entry: Entry, caBundle: string | undefined): Entry {
  return caBundle === undefined ? entry : { ...entry, clientConfig: { ...entry.clientConfig, caBundle } };
}

/** Why the serving pods cannot be called yet as the entries will have it. */
function blockersOf(servers: readonly ServingPod[], { wanted, certificates, now }: Omit<Context, 'seen'>): readonly string[] {
  const { service, version, configuration } = wanted;
  const called = servers.filter(({ isReady }) => isReady);
  if (called.length === 0) return [`no serving pod of Service ${service.namespace}/${service.name} is ready`];
  return called.flatMap((server) => {
    const { address } = server;
    if (server.problem !== undefined) return [server.problem];
    if (server.version !== version)
      return [`${address} runs version ${server.version ?? '(which it does not tell)'} instead of ${version}`];
    if (server.configuration !== configuration) {
      return [`${address} runs configuration ${short(server.configuration)} instead of ${short(configuration)}`];
    }
    const problem = certificates === undefined ? undefined : problemOf(server.leaf, { certificates, service, now });
    return problem === undefined ? [] : [`${address} presents a certificate that ${problem}`];
  });
}

interface LeafContext {
  readonly certificates: Certificates;
  readonly service: Service;
  readonly now: Date;
}

/** As an API server would see it. */
function problemOf(
  leaf: X509Certificate | undefined,
  { certificates: { authority, beside }, service, now }: LeafContext,
): string | undefined {
  const trusted = [...(authority === undefined ? [] : [authority.chain[0]]), ...beside.map(({ certificate }) => certificate)];
  if (leaf === undefined || !trusted.some((each) => isSignedBy(leaf, each))) return 'no trusted authority signed';
  const [name] = namesOf(service);
  if (leaf.checkHost(name, { subject: 'never' }) === undefined) return `does not cover ${name}`;
  return now < leaf.validToDate ? undefined : `expired at ${leaf.validToDate.toISOString()}`;
}

const short = (digest: string | undefined): string => digest?.slice(0, 12) ?? '(which it does not tell)';

/** How entries differ, in words; nothing if and only if they are the same. */
function entryDifferences(found: readonly Entry[], wanted: readonly Entry[]): readonly string[] {
  if (differences(found, wanted).length === 0) return [];
  const byName = new Map(found.map((each) => [each.name, each]));
  const names = new Set(wanted.map(({ name }) => name));
  const told = [
    ...found.filter(({ name }) => !names.has(name)).map(({ name }) => `${name} is not wanted`),
    ...wanted.flatMap((entry) => {
      const live = byName.get(entry.name);
      if (live === undefined) return [`${entry.name} is missing`];
      return differences(live, entry).map((each) => `${entry.name}: ${tell(each)}`);
    }),
  ];
  return told.length === 0 ? ['entries stand twice, or in another order'] : told;
}

function tell({ path, live, desired: wanted }: Difference): string {
  const show = path.at(-1) === 'caBundle' ? showBundle : showValue;
  const where = printPath(path);
  if (live === undefined) return `${where} is missing: it must be ${show(wanted)}`;
  if (wanted === undefined) return `${where} is ${show(live)}: it must not be there`;
  return `${where} is ${show(live)} instead of ${show(wanted)}`;
}

const MAX_SHOWN = 120;

function showValue(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function showBundle(value: unknown): string {
  return listed(certificatesIn(Buffer.from(String(value), 'base64').toString('latin1')));
}

function listed(certificates: readonly X509Certificate[]): string {
  return certificates.length === 0 ? 'no authority' : certificates.map(({ serialNumber }) => `authority ${serialNumber}`).join(' and ');
}

/** As the data of a Secret, or a caBundle. */
export function encoded(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64');
}
