import { type Cel, listOf, quote, text } from './cel.ts';
import { excerptOf } from './excerpt.ts';
import type { Exemption } from './exemptions.ts';
import { APPLIED_ANNOTATION, GRANT_LABEL, PROFILE_LABEL } from './labels.ts';
import { annotationOf, labelOf, type Pod } from './pod.ts';
import type { Profile } from './profiles/profile.ts';
import { exceeds, GRANTS, type Grant, isGrant } from './requirements.ts';
import type { RuleFinding } from './rules/rule.ts';

/** The operator's configuration, read once at start. */
export interface PolicyConfig {
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly exemptions: readonly Exemption[];
}

/** What applies to one pod. Every pod has a policy: an invalid label is reported, and never gives the pod more. */
export interface Policy {
  readonly profile: Profile;
  readonly grant: Grant;
  readonly labelProblems: readonly RuleFinding[];
}

export interface PolicyOptions {
  readonly profiles: PolicyConfig['profiles'];
  /** Whether the pod's `profile` label counts: it does in mode enforce, and not in warn and audit. */
  readonly obeysProfileLabel: boolean;
  /**
   * Whether the pod is about to be stored, so that the annotation with its profile must be its own. Cloister itself wrote it before, or nothing did,
   * because no webhook answered.
   */
  readonly checksAnnotation?: boolean;
}

/** @param profile the profile that the API server's selector chose: the namespace's, or the one that the pod opted into */
export function selectPolicy(profile: Profile, pod: Pod, { profiles, obeysProfileLabel, checksAnnotation = false }: PolicyOptions): Policy {
  const problems: RuleFinding[] = [];
  const label = obeysProfileLabel ? labelOf(pod, PROFILE_LABEL) : undefined;
  const selected = selectProfile(profile, label, profiles, problems);
  const grant = selectGrant(selected, labelOf(pod, GRANT_LABEL), problems);
  if (checksAnnotation) checkAnnotation(annotationOf(pod, APPLIED_ANNOTATION), printApplied(selected, grant), problems);
  return { profile: selected, grant, labelProblems: problems };
}

function selectProfile(base: Profile, label: string | undefined, profiles: PolicyConfig['profiles'], problems: RuleFinding[]): Profile {
  if (label === undefined || label === base.id) return base;
  const selected = profiles.get(label);
  if (selected !== undefined && base.mayChoose.includes(label)) return selected;
  const message =
    selected === undefined ? printUnknownProfile(label) : `profile "${excerptOf(label)}" may not be chosen instead of ${base.id}`;
  const remedy = `remove the label, or set it to ${[base.id, ...base.mayChoose].join(' or ')}`;
  problems.push({ path: ['metadata', 'labels', PROFILE_LABEL], message, remedy });
  return base;
}

function selectGrant({ id, grant }: Profile, label: string | undefined, problems: RuleFinding[]): Grant {
  if (label === undefined) return grant;
  if (isGrant(label) && !exceeds(label, grant)) return label;
  const message = isGrant(label) ? `grant "${label}" is more than ${id} gives` : `grant "${excerptOf(label)}" is unknown`;
  const remedy = `remove the label, or set it to ${GRANTS.filter((each) => !exceeds(each, grant)).join(' or ')}`;
  problems.push({ path: ['metadata', 'labels', GRANT_LABEL], message, remedy });
  return grant;
}

/** The value of the annotation that Cloister writes. */
export const printApplied = ({ id }: Profile, grant: Grant): string => `${id}/${grant}`;

function checkAnnotation(written: string | undefined, own: string, problems: RuleFinding[]): void {
  if (written === undefined || written === own) return;
  const message = `"${excerptOf(written)}" is not the profile and grant of the pod, which are ${own}`;
  problems.push({ path: ['metadata', 'annotations', APPLIED_ANNOTATION], message, remedy: 'remove the annotation, which Cloister writes' });
}

/** Lists of texts. */
interface LabelProblemsCel {
  /** Of the labels that the pod was created with. */
  readonly chosen: Cel;
  /** Of a new pod. */
  readonly created: Cel;
  /** Of a pod after an update. */
  readonly updated: Cel;
}

/**
 * The problems of `selectPolicy` and `findSettledChanges` in CEL, each a list of texts. The policy of a profile judges the pods that have this profile,
 * so a label that names another one was not obeyed.
 * @param labels of the pod as created
 * @param asked the grant that the pod asks for
 */
export function labelProblemsCel({ id, grant, mayChoose }: Profile, labels: Cel, asked: Cel): LabelProblemsCel {
  const offered = GRANTS.filter((each) => !exceeds(each, grant));
  const profile = `${labels}[?${quote(PROFILE_LABEL)}].orValue(${quote(id)})`;
  const written = `object.metadata.?annotations[?${quote(APPLIED_ANNOTATION)}]`;
  const chosen = [
    `(${profile} == ${quote(id)} ? [] : [${text`label ${quote(PROFILE_LABEL)}: profile "${profile}" may not be chosen here; remove the label, or set it to ${quote([id, ...mayChoose].join(' or '))}`}])`,
    `(${asked} in ${listOf(offered)} ? [] : [${text`label ${quote(GRANT_LABEL)}: grant "${asked}" is not offered here; remove the label, or set it to ${quote(offered.join(' or '))}`}])`,
  ].join(' +\n');
  const own = `${quote(`${id}/`)} + (${asked} in ${listOf(offered)} ? ${asked} : ${quote(grant)})`;
  const forged = `(${written}.orValue(${own}) == ${own} ? [] : [${text`annotation ${quote(APPLIED_ANNOTATION)} is not ${own}; remove the annotation, which Cloister writes`}])`;
  const settled = SETTLED.map(({ map, key }) => {
    const [now, before] = ['object', 'oldObject'].map((pod) => `${pod}.metadata.?${map}[?${quote(key)}]`);
    return `(${now} == ${before} ? [] : [${quote(`${key} was changed after the pod was created; keep the old value; ${SETTLED_AT}`)}])`;
  });
  return { chosen, created: `${chosen} +\n${forged}`, updated: [chosen, ...settled].join(' +\n') };
}

/**
 * What an update changes of the labels and the annotation that settle a pod's profile. Later updates, such as an added debug container, are judged
 * by the labels of the stored pod, and an object selector may depend on them: a change would loosen how these are judged, or take the pod out.
 */
export function findSettledChanges(pod: Pod, old: Pod): readonly RuleFinding[] {
  return SETTLED.flatMap(({ map, key, read }) => {
    const [now, before] = [read(pod, key), read(old, key)];
    if (now === before) return [];
    const message = `${describeChange(now, before)} after the pod was created`;
    const remedy = `${before === undefined ? 'leave it out' : 'keep the old value'}; ${SETTLED_AT}`;
    return [{ path: ['metadata', map, key], message, remedy }];
  });
}

const SETTLED = [
  { map: 'labels', key: PROFILE_LABEL, read: labelOf },
  { map: 'labels', key: GRANT_LABEL, read: labelOf },
  { map: 'annotations', key: APPLIED_ANNOTATION, read: annotationOf },
] as const;

const SETTLED_AT = 'the profile of a pod is settled when it is created, so delete the pod and recreate it to change this';

function describeChange(now: string | undefined, before: string | undefined): string {
  if (now === undefined) return `"${excerptOf(before ?? '')}" was removed`;
  return `"${excerptOf(now)}" ${before === undefined ? 'was added' : 'replaced another value'}`;
}

/** For messages about a name that no profile has. */
export function printUnknownProfile(name: string): string {
  return `profile "${excerptOf(name)}" is not configured`;
}

/** The names to choose from, for the same messages. */
export function printConfigured(profiles: PolicyConfig['profiles']): string {
  return `the configured profiles are: ${profiles.size === 0 ? 'none' : [...profiles.keys()].join(', ')}`;
}
