import { exemptedAs, printProfile } from '../named-profile.ts';
import { type AppArmorProfile, annotationOf, type Container, type Pod, specOf } from '../pod.ts';
import type { Context, Rule } from './rule.ts';
import { REMOVE } from './rule.ts';

const ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';

/**
 * On nodes with AppArmor the runtime's profile guards what capabilities alone do not. `Unconfined` and profiles of the author's choice
 * lift it. Where a node's profile denies mount(2), the operator names the one that workspace containers need.
 *
 * Fields: appArmorProfile of the pod's and of each container's securityContext; the annotation that older manifests use for the same
 * Allowed: absent or RuntimeDefault; in workspace containers also the profile's `appArmorProfile`
 * Fix: the profile's `appArmorProfile` on workspace containers, elsewhere drop it. An annotation goes wherever its field does, because the
 * API server refuses two that differ.
 * Source: https://kubernetes.io/docs/tutorials/security/apparmor/
 */
export const apparmor: Rule = {
  id: 'apparmor',
  summary: "No container lifts its node's AppArmor profile beyond what its grant says.",
  fields: [
    'spec.securityContext.appArmorProfile',
    'spec.containers[*].securityContext.appArmorProfile',
    `metadata.annotations["${ANNOTATION}*"]`,
  ],
  exempts: 'the name of a Localhost profile, or Unconfined',
  checkPod(pod, report, context) {
    const own = specOf(pod).securityContext?.appArmorProfile;
    if (own != null && !isHarmless(own, context)) {
      report({ path: ['spec', 'securityContext', 'appArmorProfile'], message: `appArmorProfile is ${printProfile(own)}`, fix: REMOVE });
    }
    const annotations = pod.metadata?.annotations ?? {};
    const keys = Object.keys(annotations).filter((key) => key.startsWith(ANNOTATION));
    if (keys.length === 0) return;
    const containers = new Map(context.containers.map((container) => [container.name, container]));
    for (const key of keys) {
      const container = containers.get(key.slice(ANNOTATION.length));
      const value = annotations[key] ?? '';
      const profile = fromAnnotation(value);
      const given = container === undefined ? undefined : givenTo(container, pod, context);
      if (given === undefined ? isHarmless(profile, context) : same(profile, given)) continue;
      const kind = isHarmless(profile, context) ? 'promise' : 'escape';
      report({ path: ['metadata', 'annotations', key], message: `annotation sets AppArmor to ${value}`, fix: REMOVE, kind });
    }
  },
  checkContainer(container, report, context, pod) {
    const path = ['securityContext', 'appArmorProfile'];
    const own = container.spec.securityContext?.appArmorProfile;
    const given = givenTo(container, pod, context);
    if (given === undefined) {
      if (container.granted && context.terms.workspace.appArmorProfile !== undefined && asksForDefault(container, pod)) {
        const message = 'appArmorProfile is RuntimeDefault, which may deny mounts to nested containers';
        report({ path, message, remedy: 'drop it if this container is the workspace', kind: 'promise' });
      }
      if (own != null && !isHarmless(own, context)) report({ path, message: `appArmorProfile is ${printProfile(own)}`, fix: REMOVE });
      const inherited = inheritedBy(container, pod);
      if (inherited != null && !isHarmless(inherited, context)) {
        report({ path, message: `the pod's appArmorProfile is ${printProfile(inherited)}`, fix: { set: { type: 'RuntimeDefault' } } });
      }
      return;
    }
    const annotation = annotationOf(pod, ANNOTATION + container.name);
    const effective = own ?? (annotation === undefined ? undefined : fromAnnotation(annotation));
    if (effective != null && same(effective, given)) return;
    const kind = effective == null || isHarmless(effective, context) ? 'promise' : 'escape';
    report({ path, message: `appArmorProfile is ${printProfile(effective)}`, fix: { set: { ...given } }, kind });
  },
};

/** An ephemeral container joins a pod whose own profile and annotations cannot be repaired any more, so it needs a profile of its own. */
function inheritedBy({ list, spec, name }: Container, pod: Pod): AppArmorProfile | null | undefined {
  if (list !== 'ephemeralContainers' || spec.securityContext?.appArmorProfile != null) return undefined;
  const annotation = annotationOf(pod, ANNOTATION + name);
  return annotation === undefined ? specOf(pod).securityContext?.appArmorProfile : fromAnnotation(annotation);
}

/** What the grant gives this container; nothing, if it or its pod asked for RuntimeDefault and no `grantTo` overrides that. */
function givenTo(container: Container, pod: Pod, { terms }: Context): AppArmorProfile | undefined {
  const { appArmorProfile } = terms.workspace;
  if (appArmorProfile === undefined || !container.granted) return undefined;
  return terms.grantTo === undefined && asksForDefault(container, pod) ? undefined : appArmorProfile;
}

function asksForDefault({ spec, name }: Container, pod: Pod): boolean {
  const annotation = annotationOf(pod, ANNOTATION + name);
  const byAnnotation = annotation === undefined ? undefined : fromAnnotation(annotation);
  const asked = spec.securityContext?.appArmorProfile ?? byAnnotation ?? specOf(pod).securityContext?.appArmorProfile;
  return asked?.type === 'RuntimeDefault';
}

function isHarmless(profile: AppArmorProfile, { exempts }: Context): boolean {
  return profile.type === 'RuntimeDefault' || exempts(exemptedAs(profile));
}

function fromAnnotation(value: string): AppArmorProfile {
  if (value === 'runtime/default') return { type: 'RuntimeDefault' };
  if (value.startsWith('localhost/')) return { type: 'Localhost', localhostProfile: value.slice('localhost/'.length) };
  return { type: 'Unconfined' };
}

const same = (a: AppArmorProfile, b: AppArmorProfile): boolean =>
  a.type === b.type && (a.localhostProfile ?? '') === (b.localhostProfile ?? '');
