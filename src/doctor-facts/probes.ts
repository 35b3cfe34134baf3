import type { ApiConnection, ApiResponse } from '../cluster/client.ts';
import { GRANT_LABEL, NAMESPACE_LABELS, PROFILE_LABEL } from '../core/labels.ts';
import type { Profile } from '../core/profiles/profile.ts';
import type { Context } from '../doctor/check.ts';
import type { LabelProbe, Namespace, Probe, Rejection } from '../doctor/facts.ts';
import { isNeverGoverned, profileByModeIn } from '../doctor/in-force.ts';
import { API_GROUP } from '../manifests/labels.ts';
import { type LivePod, probedPodOf } from './objects.ts';
import { type PodManifest, PSA_LEVEL, plainPod } from './pods.ts';

const MAX_NAMESPACES = 50;
export const DRY_RUN = 'dryRun=All&fieldManager=cloister-doctor';
/** Requests at the same time. */
const WIDTH = 4;

type Planned = Omit<Probe, 'outcome'> & { readonly body: object };

/** Asks the API server whether it would admit pods, in each namespace that enforces a profile. Nothing is created. */
export async function probePods(api: ApiConnection, context: Context, namespaces: readonly Namespace[]): Promise<readonly Probe[]> {
  const planned = plan(context, namespaces);
  const found: Probe[] = [];
  for (let start = 0; start < planned.length; start += WIDTH) {
    const batch = planned.slice(start, start + WIDTH).map(async ({ body, ...probe }): Promise<Probe> => {
      const response = await api.send('POST', `/api/v1/namespaces/${probe.namespace}/pods?${DRY_RUN}`, { body });
      return { ...probe, outcome: rejectionIn(response) ?? { is: 'admitted', pod: probedPodOf(response.body as LivePod) } };
    });
    found.push(...(await Promise.all(batch)));
  }
  return found;
}

function plan(context: Context, namespaces: readonly Namespace[]): readonly Planned[] {
  const { profiles, profile: only } = context;
  const isChosen = ({ id }: Profile): boolean => only === undefined || only === id;
  const enforced = namespaces.flatMap((namespace) => {
    const profile = profiles.get(profileByModeIn(namespace, context).enforce ?? '');
    return profile === undefined || !isChosen(profile) ? [] : [{ namespace, profile }];
  });
  const free = freeNamespace(namespaces, context);
  const optIn = free === undefined ? [] : [...profiles.values()].filter(isChosen).map((profile) => ({ namespace: free, profile }));
  return [
    ...sampleOf(enforced).flatMap(({ namespace, profile }): Planned[] => [
      { namespace: namespace.name, profile: profile.id, pod: 'grant', body: plainPod(profile, namespace) },
      { namespace: namespace.name, profile: profile.id, pod: 'refused', body: refusedPod(profile, namespace) },
    ]),
    ...optIn.flatMap(({ namespace, profile }): Planned[] => {
      const labels = { [PROFILE_LABEL]: profile.id };
      return [
        { namespace: namespace.name, profile: profile.id, pod: 'opt-in', body: plainPod(profile, namespace, labels) },
        { namespace: namespace.name, profile: profile.id, pod: 'refused', body: refusedPod(profile, namespace, labels) },
      ];
    }),
  ];
}

interface EnforcedNamespace {
  readonly namespace: Namespace;
  readonly profile: Profile;
}

/** At first one namespace for each profile and Pod Security level, then the others. */
function sampleOf(enforced: readonly EnforcedNamespace[]): readonly EnforcedNamespace[] {
  const kindOf = ({ namespace: { labels }, profile }: EnforcedNamespace): string =>
    [profile.id, labels[PSA_LEVEL], labels[`${PSA_LEVEL}-version`]].join(' ');
  const groups = [...Map.groupBy(enforced, kindOf).values()];
  const firsts = groups.flatMap(([first]) => first ?? []);
  return [...firsts, ...groups.flatMap(([, ...rest]) => rest)].slice(0, MAX_NAMESPACES);
}

/** A namespace in which no profile is in force, `default` if possible. */
function freeNamespace(namespaces: readonly Namespace[], context: Context): Namespace | undefined {
  const free = namespaces
    .filter((each) => profileByModeIn(each, context).enforce === undefined && !(NAMESPACE_LABELS.enforce in each.labels))
    .filter(({ name }) => !isNeverGoverned(name, context) && context.only?.includes(name) !== false);
  return free.find(({ name }) => name === 'default') ?? free[0];
}

/**
 * A pod that Cloister refuses and cannot repair: with the root of the node's file system or, where Pod Security would refuse that first, with a grant
 * that does not exist.
 */
function refusedPod(profile: Profile, namespace: Namespace, labels: Readonly<Record<string, string>> = {}): PodManifest {
  const level = namespace.labels[PSA_LEVEL];
  if (level !== undefined && level !== 'privileged') return plainPod(profile, namespace, { ...labels, [GRANT_LABEL]: 'cloister-doctor' });
  const plain = plainPod(profile, namespace, labels);
  const [container] = plain.spec.containers;
  const hostile = { ...container, securityContext: { privileged: true }, volumeMounts: [{ name: 'node', mountPath: '/node' }] };
  const spec = { ...plain.spec, containers: [hostile], volumes: [{ name: 'node', hostPath: { path: '/' } }] };
  return { ...plain, spec };
}

/** @returns undefined: the object was admitted */
export function rejectionIn({ status, body }: ApiResponse): Rejection | undefined {
  if (status < 300) return undefined;
  const { message = `status ${status}` } = body as { readonly message?: string };
  return { is: 'rejected', status, message };
}

/**
 * Tries to remove the label of a namespace, in dry-run mode, as an identity that may change namespaces and may not label them.
 * @returns undefined: this identity may label, or may not change namespaces at all, or no namespace enforces a profile by its label
 */
export async function probeLabel(api: ApiConnection, context: Context, namespaces: readonly Namespace[]): Promise<LabelProbe | undefined> {
  const labelled = namespaces.find(
    (each) => NAMESPACE_LABELS.enforce in each.labels && profileByModeIn(each, context).enforce !== undefined,
  );
  if (labelled === undefined) return undefined;
  const [mayPatch, mayLabel] = await Promise.all([
    isAllowed(api, { group: '', resource: 'namespaces', verb: 'patch', name: labelled.name }),
    isAllowed(api, { group: API_GROUP, resource: 'profiles', verb: 'label' }),
  ]);
  if (!mayPatch || mayLabel) return undefined;
  const body = { metadata: { labels: { [NAMESPACE_LABELS.enforce]: null } } };
  const response = await api.send('PATCH', `/api/v1/namespaces/${labelled.name}?${DRY_RUN}`, {
    body,
    contentType: 'application/merge-patch+json',
  });
  return { namespace: labelled.name, outcome: rejectionIn(response) ?? { is: 'admitted' } };
}

/** Every identity may ask about itself. */
export async function isAllowed(api: ApiConnection, resourceAttributes: object): Promise<boolean> {
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } };
  const response = await api.send('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { body });
  const { status } = response.body as { readonly status?: { readonly allowed?: boolean } };
  return response.status < 300 && status?.allowed === true;
}
