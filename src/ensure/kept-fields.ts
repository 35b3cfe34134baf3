import { type Cluster, ClusterError } from '../cluster/client.ts';
import { judge } from '../core/judge.ts';
import { type FeatureGate, FIELD_GATES, printOff } from '../core/kubernetes.ts';
import { type Path, printPath } from '../core/path.ts';
import type { PolicyConfig } from '../core/policy.ts';
import { type Apply, repair } from '../core/repair.ts';
import { workspaceNameOf } from '../core/sample-pod.ts';
import { isObject } from '../core/shape.ts';
import { subjectOf } from '../core/subject.ts';
import { profileOfEntry } from '../manifests/entries.ts';
import { fieldProbeOf, type Service } from '../manifests/rbac.ts';
import { entriesIn } from './objects.ts';
import type { SamplePod } from './types.ts';

export function samplePodsOf({ profiles }: Pick<PolicyConfig, 'profiles'>, apply: Apply, now: Date): readonly SamplePod[] {
  return [...profiles.values()].map((profile) => {
    const pod = { metadata: { name: 'sample' }, spec: { containers: [{ name: workspaceNameOf(profile), image: 'sample' }] } };
    const subject = subjectOf(pod, '', 'Pod');
    if (!subject.ok) throw new Error(`the sample pod cannot be read at ${printPath(subject.error.path)}`);
    const policy = { profile, grant: profile.grant, labelProblems: [] };
    const input = { subject: subject.value, policy, namespace: 'default', exemptions: [], now };
    const repaired = repair(input, judge(input), { apply, addsAnnotation: false });
    return { profile: profile.id, spec: (repaired.subject.document as typeof pod).spec };
  });
}

/** The profiles that have no entry in a live webhook configuration, and get entries. */
export function findNewProfiles(live: object | undefined, written: object): readonly string[] {
  const before = profilesIn(live);
  return [...profilesIn(written)].filter((profile) => !before.has(profile));
}

const profilesIn = (configuration: object | undefined): ReadonlySet<string> =>
  new Set(entriesIn(configuration).flatMap((entry) => profileOfEntry(entry) ?? []));

export interface FieldWarning {
  readonly message: string;
  readonly fields: { readonly profile: string; readonly field?: string; readonly why: string };
}

/**
 * Asks the API server for the fields that it drops from the pods of a profile: a server-side dry run of a PodTemplate, from which it drops the same
 * fields as from a pod. Nothing is stored. A right to create pods, which nothing limits to dry runs, would be a right to run privileged ones.
 */
export async function findDropped(
  { profile, spec }: SamplePod,
  service: Service,
  cluster: Pick<Cluster, 'tryCreate'>,
): Promise<readonly FieldWarning[]> {
  const warn = (message: string, fields: Omit<FieldWarning['fields'], 'profile'>) => ({ message, fields: { profile, ...fields } });
  const metadata = { name: fieldProbeOf(service), namespace: service.namespace };
  const sent = { apiVersion: 'v1', kind: 'PodTemplate', metadata, template: { metadata: {}, spec } };
  try {
    const kept = await cluster.tryCreate(sent);
    const { template } = kept as { readonly template?: { readonly spec?: unknown } };
    return droppedFrom(spec, template?.spec, ['spec']).map((path) =>
      warn('the API server drops a field that the profile needs', { field: printPath(path), why: whyDropped(path) }),
    );
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    return [warn('the API server was not asked which fields of the profile it drops', { why: error.message })];
  }
}

/** What the API server adds, such as defaults, and how it writes a quantity, is no difference. It resets a dropped procMount to Default. */
function droppedFrom(sent: unknown, kept: unknown, path: Path): readonly Path[] {
  if (kept === undefined || kept === null) return [path];
  if (Array.isArray(sent)) return sent.flatMap((each, index) => droppedFrom(each, (kept as readonly unknown[])[index], [...path, index]));
  if (isObject(sent)) return Object.entries(sent).flatMap(([key, each]) => droppedFrom(each, (kept as typeof sent)[key], [...path, key]));
  return path.at(-1) === 'procMount' && sent !== kept ? [path] : [];
}

function whyDropped(path: Path): string {
  const gate: FeatureGate | undefined = (FIELD_GATES as Readonly<Record<string, FeatureGate>>)[String(path.at(-1))];
  return gate === undefined ? 'another webhook or an older version may be the cause' : `${printOff(gate)}; ${gate.without}`;
}
