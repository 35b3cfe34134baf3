import { escapesOf, type JudgeInput, judge } from '../core/judge.ts';
import { NAMESPACE_LABELS } from '../core/labels.ts';
import { mirroredNodeOf } from '../core/mirror-pod.ts';
import { printPath } from '../core/path.ts';
import type { Pod } from '../core/pod.ts';
import { type Policy, printConfigured, printUnknownProfile } from '../core/policy.ts';
import { printable } from '../core/printable.ts';
import type { Finding } from '../core/rules/rule.ts';
import { list, object, boolean as shapeBoolean, string } from '../core/shape.ts';
import { type Subject, subjectOf } from '../core/subject.ts';
import { isIsolated } from '../core/wall.ts';
import { asWritten } from '../core/written.ts';
import { type NodeFacts, type PodFacts, type ProfileFacts, podFactsOf } from '../live/facts.ts';
import type { ScanRow, ScanVerdict } from '../report/scan/scan-report.ts';
import { type PolicyInForce, policiesFor } from './policies.ts';
import type { NamespaceFacts, ScanSettings } from './types.ts';

/** A row without the answer about the wall, and what this answer needs. */
export interface DraftRow extends Omit<ScanRow, 'wall'> {
  readonly facts: PodFacts;
  /** undefined: the pod cannot be judged, so its wall is not known. */
  readonly profileFacts: ProfileFacts | undefined;
}

export const NODE_UNKNOWN = 'who chose the node of the pod is unknown, because its managedFields do not show it';
export const OLDER = 'the pod has no mark of Cloister, and is older than the label of its namespace or a later change of it';
export const MISSED =
  'the pod has no mark of Cloister, although its namespace had the label before: it was created while Cloister was not called';
export const UNMARKED = 'the pod has no mark of Cloister: it was created before it was governed, or while Cloister was not called';

const liveMetadata = object({
  metadata: object({
    name: string,
    uid: string,
    creationTimestamp: string,
    deletionTimestamp: string,
    ownerReferences: list(object({ kind: string, name: string, uid: string, controller: shapeBoolean })),
  }),
});

/** Judges a pod that lives by each policy that is in force for it: a pod with several modes has several rows. */
export function judgePod(document: object, namespace: NamespaceFacts, settings: ScanSettings): readonly DraftRow[] {
  const found = subjectOf(document, '', 'Pod');
  if (!found.ok) {
    const { path, expected } = found.error;
    const note = `the pod cannot be decoded: ${printPath(path) || 'it'} must be ${expected}`;
    return policiesFor({}, namespace, settings).map((inForce) => unjudged(document, {}, namespace, inForce, note));
  }
  const { pod } = found.value;
  const policies = policiesFor(pod, namespace, settings);
  if (policies.length === 0) return [];
  const facts = podFactsOf(pod, document);
  const { subject, unattributed } = asWritten(found.value);
  const nodeNote = unattributed.some((path) => printPath(path) === 'spec.nodeName') ? [NODE_UNKNOWN] : [];
  return policies.map((inForce) => {
    const { policy, profile } = inForce;
    if (policy === undefined) {
      return unjudged(document, pod, namespace, inForce, `${printUnknownProfile(profile)}; ${printConfigured(settings.profiles)}`);
    }
    const { exemptions, now } = settings;
    const input = { subject, policy, namespace: namespace.name, exemptions, now };
    const { findings, exempted } = judge(input);
    return {
      ...identityOf(document, namespace, facts, settings),
      mode: inForce.mode,
      profile: policy.profile.id,
      grant: policy.grant,
      verdict: verdictOf(findings),
      findings,
      exempted,
      notes: [...nodeNote, ...markNotesOf(facts, namespace, inForce), ...expiryNotesOf(input)],
      facts,
      profileFacts: profileFactsOf(found.value, policy),
    };
  });
}

function verdictOf(findings: readonly Finding[]): ScanVerdict {
  if (escapesOf(findings).length > 0) return 'escapes';
  return findings.some(({ kind }) => kind === 'promise') ? 'short' : 'clean';
}

function unjudged(document: object, pod: Pod, namespace: NamespaceFacts, { mode, profile }: PolicyInForce, note: string): DraftRow {
  const facts = podFactsOf(pod, document);
  return {
    ...identityOf(document, namespace, facts, undefined),
    mode,
    profile,
    grant: '',
    verdict: 'unjudged',
    findings: [],
    exempted: [],
    notes: [note],
    facts,
    profileFacts: undefined,
  };
}

function identityOf(document: object, { name: namespace }: NamespaceFacts, facts: PodFacts, settings: ScanSettings | undefined) {
  const metadata = liveMetadataOf(document);
  const owner = metadata?.ownerReferences?.find(({ controller }) => controller === true);
  return {
    namespace,
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    node: facts.node,
    runtimeClass: facts.runtimeClass,
    owner: owner === undefined ? undefined : `${owner.kind}/${owner.name}`,
    created: facts.created ?? settings?.now ?? new Date(0),
  };
}

/** What the annotation of Cloister and the times of namespace and pod say about how the pod came. */
function markNotesOf(
  { applied, created }: PodFacts,
  { labelTimes }: NamespaceFacts,
  { mode, isLabelled }: PolicyInForce,
): readonly string[] {
  if (applied !== undefined || (mode !== 'enforce' && mode !== 'opt-in')) return [];
  const labelled = isLabelled ? labelTimes.get(NAMESPACE_LABELS.enforce) : undefined;
  if (labelled === undefined || created === undefined) return [UNMARKED];
  return [created < labelled ? OLDER : MISSED];
}

/** The values that an exemption let through until it expired. */
function expiryNotesOf(input: JudgeInput): readonly string[] {
  const expired = input.exemptions.filter(({ expires }) => expires <= input.now);
  if (expired.length === 0) return [];
  const inForce = expired.map((each) => ({ ...each, expires: new Date(input.now.getTime() + 1) }));
  const { exempted } = judge({ ...input, exemptions: inForce });
  return exempted.map(({ rule, value, reason }) => printable(`an exemption from ${rule} for ${value} has expired: ${reason}`));
}

function profileFactsOf({ pod }: Subject, { profile, grant }: Policy): ProfileFacts {
  const { wall } = profile.requirementsFor(grant);
  return { id: profile.id, backend: profile.backend.id, grant, wall, isRequested: isIsolated(pod, wall) };
}

/**
 * Whether the time is over until which the pod had to be deleted. `deletionTimestamp` is the end of the grace period, which an author of pods chooses: the
 * pod may run until then.
 */
export function shouldBeGone(document: object, now: Date): boolean {
  return new Date(liveMetadataOf(document)?.deletionTimestamp ?? Number.NaN).getTime() <= now.getTime();
}

/**
 * Whether the pod mirrors a static pod of a node, which admission cannot change. The owner must have the UID of the node, which an author of pods does not
 * know. Where the nodes could not be read, its name must do.
 */
export function isMirrorOf(document: object, nodes: ReadonlyMap<string, NodeFacts> | undefined): boolean {
  const found = subjectOf(document, '', 'Pod');
  const node = found.ok ? mirroredNodeOf(found.value.pod) : undefined;
  if (node === undefined || nodes === undefined) return node !== undefined;
  const uid = nodes.get(node)?.uid;
  const owners = liveMetadataOf(document)?.ownerReferences ?? [];
  return uid !== undefined && owners.some((owner) => owner.kind === 'Node' && owner.name === node && owner.uid === uid);
}

function liveMetadataOf(document: object) {
  return ((liveMetadata(document) === undefined ? document : {}) as NonNullable<typeof liveMetadata.proves>).metadata;
}
