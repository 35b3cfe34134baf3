import { APPARMOR_ANNOTATION, annotatedProfileOf, parseAppArmorAnnotation, printAppArmorAnnotation } from '../apparmor-annotation.ts';
import { allOf, anyOf, type Cel, holdsFor, maybe, not, quote, text, textAt, without } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import type { Path } from '../path.ts';
import { type AppArmorProfile, type Container, effectiveOf, joinsRunningPod, type Pod, specOf } from '../pod.ts';
import type { ProfileRequirements } from '../requirements.ts';
import {
  exemptionOf,
  exemptionValueCel,
  exemptionValueOf,
  isDefaultCel,
  isProfileCel,
  printProfile,
  printProfileCel,
  profileCel,
} from '../security-profile.ts';
import type { Reporter, Rule, RuleContext } from './rule.ts';
import { REMOVE } from './rule.ts';

const FIELD = ['securityContext', 'appArmorProfile'];
const REMEDY = 'remove it, or ask the operator for an exemption';

/**
 * On nodes with AppArmor the runtime's profile denies what capabilities alone allow. `Unconfined` and profiles of the author's choice
 * remove that protection. Where a node's profile denies mount(2), the operator names the profile that workspace containers need.
 *
 * Fields: appArmorProfile of the pod's and of each container's securityContext; the annotation that older manifests use instead
 * Allowed: absent or RuntimeDefault; in workspace containers also the profile's `appArmorProfile`
 * Fix: the profile's `appArmorProfile` on workspace containers, elsewhere drop it. Annotation and field are changed together, because the
 * API server rejects two that differ.
 * Source: https://kubernetes.io/docs/tutorials/security/apparmor/
 */
export const apparmor: Rule = {
  id: 'apparmor',
  summary: "No container removes its node's AppArmor profile, except as its grant allows.",
  fields: [
    'spec.securityContext.appArmorProfile',
    'spec.containers[*].securityContext.appArmorProfile',
    `metadata.annotations["${APPARMOR_ANNOTATION}*"]`,
  ],
  exemptibleValues: 'the name of a Localhost profile, or Unconfined',
  checkPod(pod, report, context) {
    const own = specOf(pod).securityContext?.appArmorProfile;
    if (own != null && !isAllowed(own, context)) {
      report({ path: ['spec', ...FIELD], message: `appArmorProfile is ${printProfile(own)}`, fix: REMOVE, ...exemptionOf(own) });
    }
    checkAnnotations(pod, report, context);
    checkDefaults(pod, report, context);
  },
  checkContainer(container, report, context, pod) {
    const granted = grantedProfileOf(container, pod, context);
    if (granted === undefined) checkOrdinary(container, report, context, pod);
    else checkWorkspace(container, granted, report, context, pod);
  },
  inTree: {
    pod({ securityContext, annotations, annotationKeys, namesWithGrant, exempts }, { workspace: { appArmorProfile: granted } }) {
      const own = maybe(securityContext, 'appArmorProfile');
      const name = `k.substring(${APPARMOR_ANNOTATION.length})`;
      const isGiven = granted === undefined ? 'false' : `(${saysCel(`${annotations}[k]`, granted)} && ${name} in ${namesWithGrant})`;
      return [
        {
          where: holdsFor(own, 'p', not(anyOf(isDefaultCel('p'), exempts(exemptionValueCel('p'))))),
          says: text`appArmorProfile is ${printProfileCel(own)}`,
          remedy: quote(REMEDY),
        },
        {
          each: [annotationKeys, 'k'],
          where: allOf(
            `k.startsWith(${quote(APPARMOR_ANNOTATION)})`,
            not(
              anyOf(
                isAnnotationAllowed(`${annotations}[k]`, (value) => exempts(value, name)),
                isGiven,
              ),
            ),
          ),
          says: text`annotation ${'k'} sets AppArmor to ${`${annotations}[k]`}`,
          remedy: quote(REMEDY),
        },
      ];
    },
    container({ securityContext, annotations, hasGrant, isEphemeral, exempts }, { workspace: { appArmorProfile: granted } }) {
      const own = maybe('c', 'securityContext.appArmorProfile');
      const ofPod = maybe(securityContext, 'appArmorProfile');
      const annotated = `${annotations}[?${quote(APPARMOR_ANNOTATION)} + c.name]`;
      const isAllowedCel = (profile: Cel): Cel => anyOf(isDefaultCel(profile), exempts(exemptionValueCel(profile)));
      const isGiven = granted === undefined ? 'false' : allOf(hasGrant, isProfileCel('p', granted));
      return [
        {
          where: holdsFor(own, 'p', not(anyOf(isAllowedCel('p'), isGiven))),
          says: text`appArmorProfile is ${printProfileCel(own)}`,
          remedy: quote(REMEDY),
        },
        {
          where: allOf(
            isEphemeral,
            `!${own}.hasValue()`,
            `(${annotated}.hasValue() ? ${holdsFor(annotated, 'a', not(isAnnotationAllowed('a', exempts)))} : ${holdsFor(ofPod, 'p', not(isAllowedCel('p')))})`,
          ),
          says: quote('the container inherits an appArmorProfile that is not RuntimeDefault'),
          remedy: quote('set the type RuntimeDefault'),
        },
      ];
    },
  },
  inTreeFixes: {
    pod({ securityContext, annotations, containers, hasGrant, exempts }, { grantTo, workspace: { appArmorProfile: granted } }) {
      const own = maybe(securityContext, 'appArmorProfile');
      const name = `k.substring(${APPARMOR_ANNOTATION.length})`;
      const value = `${annotations}[k]`;
      // An exemption for some containers does not reach an annotation that names no container.
      const [named, unnamed] = [name, null].map((of) => isAnnotationAllowed(value, (profile) => exempts(profile, of))) as [Cel, Cel];
      const isAllowed = named === unnamed ? named : `(${containers}.exists(c, c.name == ${name}) ? ${named} : ${unnamed})`;
      const isGiven =
        granted === undefined
          ? 'false'
          : `${containers}.exists(c, c.name == ${name} && ${allOf(hasGrant, not(asksForDefaultCel(annotations, securityContext, grantTo)))})`;
      const isWrong = allOf(
        `k.startsWith(${quote(APPARMOR_ANNOTATION)})`,
        granted === undefined ? not(isAllowed) : `(${isGiven} ? ${not(saysCel(value, granted))} : ${not(isAllowed)})`,
      );
      return [
        {
          path: 'spec.securityContext.appArmorProfile',
          where: holdsFor(own, 'p', not(anyOf(isDefaultCel('p'), exempts(exemptionValueCel('p'))))),
          remove: true,
        },
        {
          path: 'metadata.annotations',
          where: `${annotations}.exists(k, ${isWrong})`,
          edit: (found) => without(found, () => isWrong),
        },
      ];
    },
    container({ securityContext, annotations, hasGrant, exempts }, { grantTo, workspace: { appArmorProfile: granted } }) {
      const path = 'securityContext.appArmorProfile';
      const own = maybe('c', path);
      const isWrong = holdsFor(own, 'p', not(anyOf(isDefaultCel('p'), exempts(exemptionValueCel('p')))));
      if (granted === undefined) return [{ path, where: isWrong, remove: true }];
      const isGiven = allOf(hasGrant, not(asksForDefaultCel(annotations, securityContext, grantTo)));
      const annotated = `${annotations}[?${quote(APPARMOR_ANNOTATION)} + c.name]`;
      const isSet = `(${own}.hasValue() ? ${holdsFor(own, 'p', isProfileCel('p', granted))} : ${holdsFor(annotated, 'a', saysCel('a', granted))})`;
      return [
        { path, where: allOf(not(isGiven), isWrong), remove: true },
        { path, where: allOf(isGiven, not(isSet)), set: () => profileCel(granted) },
      ];
    },
  },
};

/** An annotation may repeat what its container is granted, or say something harmless. */
function checkAnnotations(pod: Pod, report: Reporter, context: RuleContext): void {
  const annotations = Object.entries(pod.metadata?.annotations ?? {}).filter(([key]) => key.startsWith(APPARMOR_ANNOTATION));
  if (annotations.length === 0) return;
  const containers = new Map(context.containers.map((container) => [container.name, container]));
  for (const [key, value] of annotations) {
    const profile = parseAppArmorAnnotation(value);
    const container = containers.get(key.slice(APPARMOR_ANNOTATION.length));
    const granted = container === undefined ? undefined : grantedProfileOf(container, pod, context);
    const allowed = isAllowed(profile, context, container?.name);
    if (granted === undefined ? allowed : isSame(profile, granted)) continue;
    const kind = allowed ? 'promise' : 'escape';
    const message = `annotation sets AppArmor to ${excerptOf(value)}`;
    const path = ['metadata', 'annotations', key];
    report({ path, message, fix: REMOVE, kind, ...(allowed ? {} : exemptionOf(profile)) });
  }
}

/** A RuntimeDefault that the author wrote keeps workspace containers from the profile of their grant; it is reported where it is written. */
function checkDefaults(pod: Pod, report: Reporter, context: RuleContext): void {
  const places = new Map<string, Path>();
  for (const container of context.containers) {
    const isKept = container.hasGrant && grantedProfileOf(container, pod, context) === undefined && asksForDefault(container, pod);
    if (!isKept || context.requirements.workspace.appArmorProfile === undefined) continue;
    const path = placeOfDefault(container, pod);
    places.set(path.join('/'), path);
  }
  const message = 'AppArmor is RuntimeDefault, which may deny mounts to nested containers';
  for (const path of places.values())
    report({ path, message, remedy: 'remove it if it applies to the workspace container', kind: 'promise' });
}

function placeOfDefault({ list, index, name, spec }: Container, pod: Pod): Path {
  if (spec.securityContext?.appArmorProfile != null) return ['spec', list, index, ...FIELD];
  if (annotatedProfileOf(pod, name) !== undefined) return ['metadata', 'annotations', APPARMOR_ANNOTATION + name];
  return ['spec', ...FIELD];
}

/** Checks a container without a granted profile: it is not the workspace, or its author chose RuntimeDefault. */
function checkOrdinary(container: Container, report: Reporter, context: RuleContext, pod: Pod): void {
  const own = container.spec.securityContext?.appArmorProfile;
  if (own != null) {
    if (!isAllowed(own, context))
      report({ path: FIELD, message: `appArmorProfile is ${printProfile(own)}`, fix: REMOVE, ...exemptionOf(own) });
    return;
  }
  // The running pod keeps its profile and its annotations, so the container needs a profile of its own.
  const inherited = joinsRunningPod(container)
    ? (annotatedProfileOf(pod, container.name) ?? effectiveOf(container, 'appArmorProfile'))
    : undefined;
  if (inherited == null || isAllowed(inherited, context)) return;
  report({
    path: FIELD,
    message: `the container inherits the pod's appArmorProfile, which is ${printProfile(inherited)}`,
    fix: { set: { type: 'RuntimeDefault' } },
  });
}

function checkWorkspace(container: Container, granted: AppArmorProfile, report: Reporter, context: RuleContext, pod: Pod): void {
  const profile = container.spec.securityContext?.appArmorProfile ?? annotatedProfileOf(pod, container.name);
  if (profile != null && isSame(profile, granted)) return;
  const kind = profile == null || isAllowed(profile, context) ? 'promise' : 'escape';
  report({ path: FIELD, message: `appArmorProfile is ${printProfile(profile)}`, fix: { set: { ...granted } }, kind });
}

/** The profile that the grant gives the container. None where container or pod ask for RuntimeDefault, unless `grantTo` names the container. */
function grantedProfileOf(container: Container, pod: Pod, { requirements }: RuleContext): AppArmorProfile | undefined {
  const { appArmorProfile } = requirements.workspace;
  if (appArmorProfile === undefined || !container.hasGrant) return undefined;
  return requirements.grantTo === undefined && asksForDefault(container, pod) ? undefined : appArmorProfile;
}

function asksForDefault({ spec, name }: Container, pod: Pod): boolean {
  const asked = spec.securityContext?.appArmorProfile ?? annotatedProfileOf(pod, name) ?? specOf(pod).securityContext?.appArmorProfile;
  return asked?.type === 'RuntimeDefault';
}

function isAllowed(profile: AppArmorProfile, { exempts }: RuleContext, container?: string): boolean {
  return profile.type === 'RuntimeDefault' || exempts(exemptionValueOf(profile), container);
}

function isSame(a: AppArmorProfile, b: AppArmorProfile): boolean {
  return a.type === b.type && (a.localhostProfile ?? '') === (b.localhostProfile ?? '');
}

/** @param exempts whether an exemption lets a value through */
const isAnnotationAllowed = (value: Cel, exempts: (value: Cel) => Cel): Cel =>
  anyOf(`${value} == 'runtime/default'`, exempts(`(${value}.startsWith('localhost/') ? ${value}.substring(10) : 'Unconfined')`));

/** Whether the value of an annotation sets the profile: as `parseAppArmorAnnotation` reads it. */
const saysCel = (value: Cel, profile: AppArmorProfile): Cel =>
  profile.type === 'Unconfined'
    ? not(anyOf(`${value} == 'runtime/default'`, `${value}.startsWith('localhost/')`))
    : `${value} == ${quote(printAppArmorAnnotation(profile))}`;

/** `asksForDefault` of the container `c`, where the profile does not name its workspace containers. */
function asksForDefaultCel(annotations: Cel, securityContext: Cel, grantTo: ProfileRequirements['grantTo']): Cel {
  if (grantTo !== undefined) return 'false';
  const own = maybe('c', 'securityContext.appArmorProfile');
  const annotated = `${annotations}[?${quote(APPARMOR_ANNOTATION)} + c.name]`;
  const ofPod = textAt(securityContext, 'appArmorProfile.type');
  return `(${own}.hasValue() ? ${holdsFor(own, 'p', isDefaultCel('p'))} : ${annotated}.hasValue() ? ${annotated}.orValue('') == 'runtime/default' : ${ofPod} == 'RuntimeDefault')`;
}
