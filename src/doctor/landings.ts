import type { Profile } from '../core/profiles/profile.ts';
import type { ClassFacts, NodeFacts } from '../live/facts.ts';
import { missingLabelOf, untoleratedTaintOf } from '../live/scheduling.ts';
import type { Context } from './check.ts';
import type { FactValues, Namespace } from './facts.ts';
import { enforcing } from './in-force.ts';

/** Where pods of a profile run: by a RuntimeClass or by the default runtime, on the nodes that they can land on. */
export interface Landing {
  /** undefined: the default runtime of the node. */
  readonly runtimeClass: ClassFacts | undefined;
  /** '' is the default. */
  readonly handler: string;
  readonly nodes: readonly NodeFacts[];
}

/** The names of the RuntimeClasses that pods of a profile may have. */
export function classNamesOf({ grant, requirementsFor }: Profile): readonly string[] {
  const { runtimeClassName, runtimeClasses } = requirementsFor(grant).wall;
  return [...new Set([...(runtimeClassName === undefined ? [] : [runtimeClassName]), ...runtimeClasses])];
}

/** Whether pods of the profile may have a RuntimeClass. */
export const hasClass = (profile: Profile): boolean => classNamesOf(profile).length > 0;

/** Those that exist. */
export function classesOf(profile: Profile, classes: readonly ClassFacts[]): readonly ClassFacts[] {
  const names = classNamesOf(profile);
  return classes.filter(({ name }) => names.includes(name));
}

/** The classes of a profile, with undefined for its pods without a class. */
export function kindsOf(profile: Profile, classes: readonly ClassFacts[]): readonly (ClassFacts | undefined)[] {
  const { runtimeClassName } = profile.requirementsFor(profile.grant).wall;
  return [...(runtimeClassName === undefined ? [undefined] : []), ...classesOf(profile, classes)];
}

/**
 * What narrows the nodes: the scheduling of the RuntimeClass, taints, and the node selectors of the namespaces that enforce the profile. What a pod itself
 * selects or tolerates is not known before it is created.
 */
export function landingsOf(
  profile: Profile,
  { nodes, classes, namespaces }: Pick<FactValues, 'nodes' | 'classes' | 'namespaces'>,
  context: Context,
): readonly Landing[] {
  const selectors = enforcing(profile.id, namespaces, context).map(selectorOf);
  const reaches = (node: NodeFacts): boolean =>
    selectors.length === 0 || selectors.some((each) => missingLabelOf(node, each) === undefined);
  return kindsOf(profile, classes).map((runtimeClass) => ({
    runtimeClass,
    handler: runtimeClass?.handler ?? '',
    nodes: nodes.filter((node) => whyNotOn(node, runtimeClass) === undefined && reaches(node)),
  }));
}

/** Why no pod with the scheduling of a class can land on a node; undefined: it can. */
export function whyNotOn(node: NodeFacts, scheduling: Pick<ClassFacts, 'nodeSelector' | 'tolerations'> | undefined): string | undefined {
  const { nodeSelector = {}, tolerations = [] } = scheduling ?? {};
  if (node.os === 'windows') return 'runs Windows';
  if (!node.isSchedulable) return 'is cordoned';
  const label = missingLabelOf(node, nodeSelector);
  if (label !== undefined) return `does not have ${label}=${nodeSelector[label]}`;
  const taint = untoleratedTaintOf(node, tolerations);
  return taint && `has the taint ${taint.key}`;
}

/** Of Kubernetes' admission plug-in PodNodeSelector, which is off by default, and of OpenShift. */
const SELECTOR_ANNOTATIONS = ['scheduler.alpha.kubernetes.io/node-selector', 'openshift.io/node-selector'];

/** The node selector that a namespace gives its pods. */
export function selectorOf({ annotations }: Namespace): Readonly<Record<string, string>> {
  const written = SELECTOR_ANNOTATIONS.map((key) => annotations[key] ?? '').find((each) => each !== '') ?? '';
  const pairs = written.split(',').flatMap((each) => {
    const [key = '', value = ''] = each.split('=').map((part) => part.trim());
    return key === '' ? [] : [[key, value] as const];
  });
  return Object.fromEntries(pairs);
}

export const printSelector = (selector: Readonly<Record<string, string>>): string =>
  Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
