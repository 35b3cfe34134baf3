import { allOf, anyOf, type Cel, holdsFor, listAt, maybe, not, quote, text } from '../cel.ts';
import { type Container, joinsRunningPod, type SeccompProfile, specOf } from '../pod.ts';
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

const FIELD = ['securityContext', 'seccompProfile'];
const RUNTIME_DEFAULT = { type: 'RuntimeDefault' } as const;
const RUNTIME_DEFAULT_CEL = profileCel(RUNTIME_DEFAULT);
const REMEDY_CEL = quote('set the type RuntimeDefault');

/**
 * The seccomp filter keeps system calls from the kernel that no workspace needs. Unset means unfiltered, unless the kubelet is configured
 * otherwise, which no pod shows.
 *
 * Fields: seccompProfile of the pod's and of each container's securityContext; the container's counts where it has one
 * Allowed: RuntimeDefault; in workspace containers also the grant's profile
 * Fix: RuntimeDefault, on the pod where containers leave it to the pod; on workspace containers the grant's profile. A RuntimeDefault that
 * the author wrote stays, unless `grantTo` names the container.
 * Source: https://kubernetes.io/docs/tutorials/security/seccomp/
 */
export const seccomp: Rule = {
  id: 'seccomp',
  summary: "Each container runs under the runtime's seccomp filter or its grant's.",
  fields: ['spec.securityContext.seccompProfile', 'spec.containers[*].securityContext.seccompProfile'],
  exemptibleValues: 'the name of a Localhost profile, or Unconfined',
  checkPod(pod, report, context) {
    const profile = specOf(pod).securityContext?.seccompProfile;
    const path = ['spec', ...FIELD];
    if (profile == null) {
      const needsDefault = context.containers.some((container) => leavesDefaultToPod(container, context.requirements));
      if (needsDefault) report({ path, message: 'seccompProfile is not set', fix: { set: RUNTIME_DEFAULT } });
    } else if (!isDefault(profile) && !isGranted(profile, context.requirements) && !isExempt(profile, context)) {
      report({ path, message: `seccompProfile is ${printProfile(profile)}`, fix: { set: RUNTIME_DEFAULT }, ...exemptionOf(profile) });
    } else if (isDefault(profile) && context.containers.some((container) => losesGrantToPod(container, context.requirements))) {
      const message = `the pod's ${TOO_STRICT}`;
      report({ path, message, remedy: 'remove it: each container then gets the profile that it needs', kind: 'promise' });
    }
  },
  checkContainer(container, report, context, pod) {
    const podProfile = specOf(pod).securityContext?.seccompProfile;
    const granted = container.hasGrant ? context.requirements.workspace.seccompProfile : undefined;
    if (granted === undefined) checkOrdinary(container, podProfile, report, context);
    else checkWorkspace(container, podProfile, granted, report, context);
  },
  inTree: {
    pod({ spec, securityContext, hasGrant, exempts }, { workspace: { seccompProfile: granted } }) {
      const own = maybe(securityContext, 'seccompProfile');
      const leavesDefaultToPod = allOf(
        `!${maybe('c', 'securityContext.seccompProfile')}.hasValue()`,
        granted === undefined ? 'true' : not(hasGrant),
      );
      return [
        {
          where: `!${own}.hasValue() && (${listAt(spec, 'initContainers')} + ${listAt(spec, 'containers')}).exists(c, ${leavesDefaultToPod})`,
          says: quote('seccompProfile is not set'),
          remedy: REMEDY_CEL,
        },
        {
          where: holdsFor(own, 'p', not(anyOf(isDefaultCel('p'), isGrantedCel('p', granted), exempts(exemptionValueCel('p'))))),
          says: text`seccompProfile is ${printProfileCel(own)}`,
          remedy: REMEDY_CEL,
        },
      ];
    },
    container({ securityContext, hasGrant, isEphemeral, exempts }, { workspace: { seccompProfile: granted } }) {
      const own = maybe('c', 'securityContext.seccompProfile');
      const ofPod = maybe(securityContext, 'seccompProfile');
      const isOrdinary = (profile: Cel): Cel => anyOf(isDefaultCel(profile), exempts(exemptionValueCel(profile)));
      // The pod's finding covers what containers inherit, unless it is the profile of the grant.
      const inherits = holdsFor(ofPod, 'p', allOf(isGrantedCel('p', granted), not(isOrdinary('p'))));
      const ordinary = `(${own}.hasValue() ? !${holdsFor(own, 'p', isOrdinary('p'))} : ${isEphemeral} ? !${holdsFor(ofPod, 'p', isOrdinary('p'))} : ${inherits})`;
      const withGrant = (profile: Cel, container?: null): Cel =>
        holdsFor(profile, 'p', anyOf(isDefaultCel('p'), isGrantedCel('p', granted), exempts(exemptionValueCel('p'), container)));
      const workspace = `!(${own}.hasValue() ? ${withGrant(own)} : ${withGrant(ofPod, null)})`;
      return [
        {
          where: granted === undefined ? ordinary : `(${hasGrant} ? ${workspace} : ${ordinary})`,
          says: text`seccompProfile is ${printProfileCel(`${own}.or(${ofPod})`)}`,
          remedy: REMEDY_CEL,
        },
      ];
    },
  },
  inTreeFixes: {
    pod({ securityContext, containers, hasGrant, exempts }, { workspace: { seccompProfile: granted } }) {
      const own = maybe(securityContext, 'seccompProfile');
      const leavesDefaultToPod = allOf(
        `!${maybe('c', 'securityContext.seccompProfile')}.hasValue()`,
        granted === undefined ? 'true' : not(hasGrant),
      );
      const isKept = anyOf(isDefaultCel('p'), isGrantedCel('p', granted), exempts(exemptionValueCel('p')));
      return [
        {
          path: 'spec.securityContext.seccompProfile',
          where: `(${own}.hasValue() ? ${holdsFor(own, 'p', not(isKept))} : ${containers}.exists(c, ${leavesDefaultToPod}))`,
          set: () => RUNTIME_DEFAULT_CEL,
        },
      ];
    },
    container({ securityContext, hasGrant, exempts }, { grantTo, workspace: { seccompProfile: granted } }) {
      const path = 'securityContext.seccompProfile';
      const own = maybe('c', path);
      const ofPod = maybe(securityContext, 'seccompProfile');
      const isOrdinary = anyOf(isDefaultCel('p'), exempts(exemptionValueCel('p')));
      // What containers inherit is fixed on the pod, unless it is the profile of the grant.
      const inherits = holdsFor(ofPod, 'p', allOf(isGrantedCel('p', granted), not(isOrdinary)));
      const isWrong = `(${own}.hasValue() ? ${holdsFor(own, 'p', not(isOrdinary))} : ${inherits})`;
      if (granted === undefined) return [{ path, where: isWrong, set: () => RUNTIME_DEFAULT_CEL }];
      const isKept = (container?: null): Cel =>
        anyOf(isGrantedCel('p', granted), exempts(exemptionValueCel('p'), container), grantTo === undefined ? isDefaultCel('p') : 'false');
      const isGranted = `(${own}.hasValue() ? ${holdsFor(own, 'p', isKept())} : ${holdsFor(ofPod, 'p', isKept(null))})`;
      return [
        { path, where: allOf(not(hasGrant), isWrong), set: () => RUNTIME_DEFAULT_CEL },
        { path, where: allOf(hasGrant, not(isGranted)), set: () => profileCel(granted) },
      ];
    },
  },
};

type MaybeProfile = SeccompProfile | null | undefined;

function checkOrdinary(container: Container, podProfile: MaybeProfile, report: Reporter, context: RuleContext): void {
  const own = container.spec.securityContext?.seccompProfile;
  // checkPod judges the pod's profile, but accepts the grant's profile, which only workspace containers may have. For other containers that profile
  // is judged here.
  const isJudgedOnPod = !joinsRunningPod(container) && (podProfile == null || !isGranted(podProfile, context.requirements));
  if (own == null && isJudgedOnPod) return;
  const profile = own ?? podProfile;
  if (profile != null && (isDefault(profile) || isExempt(profile, context))) return;
  report({ path: FIELD, message: `seccompProfile is ${printProfile(profile)}`, fix: { set: RUNTIME_DEFAULT }, ...exemptionOf(profile) });
}

function checkWorkspace(
  container: Container,
  podProfile: MaybeProfile,
  granted: SeccompProfile,
  report: Reporter,
  context: RuleContext,
): void {
  const own = container.spec.securityContext?.seccompProfile;
  const profile = own ?? podProfile;
  // An inherited profile must be exempt for the whole pod: otherwise checkPod replaces it, also if it is exempt for this container.
  const isOfPod = own == null && !joinsRunningPod(container);
  if (profile != null && (isGranted(profile, context.requirements) || isExempt(profile, context, isOfPod ? null : undefined))) return;
  const fix = { set: { ...granted } };
  if (profile == null || !isDefault(profile)) {
    report({ path: FIELD, message: `seccompProfile is ${printProfile(profile)}`, fix, ...exemptionOf(profile) });
    return;
  }
  const isOwn = own != null;
  const message = isOwn ? TOO_STRICT : `the pod's ${TOO_STRICT}`;
  const remedy = 'remove seccompProfile if this container is the workspace';
  if (context.requirements.grantTo !== undefined) report({ path: FIELD, message, fix, kind: 'promise' });
  // What the container has from its pod is reported on the pod.
  else if (isOwn) report({ path: FIELD, message, remedy, kind: 'promise' });
}

const TOO_STRICT = 'seccompProfile is RuntimeDefault, under which builds and nested containers will not work';

/** Whether the pod's RuntimeDefault keeps a workspace container from the profile of its grant. */
function losesGrantToPod({ spec, hasGrant }: Container, { workspace, grantTo }: ProfileRequirements): boolean {
  return hasGrant && grantTo === undefined && workspace.seccompProfile !== undefined && spec.securityContext?.seccompProfile == null;
}

/**
 * Whether a profile on the pod is enough for the container: the container sets no profile, its grant has none, and it does not join a running pod.
 */
function leavesDefaultToPod(container: Container, requirements: ProfileRequirements): boolean {
  const isGrantedOne = container.hasGrant && requirements.workspace.seccompProfile !== undefined;
  return container.spec.securityContext?.seccompProfile == null && !isGrantedOne && !joinsRunningPod(container);
}

const isDefault = (profile: SeccompProfile): boolean => profile.type === 'RuntimeDefault';

function isGranted({ type, localhostProfile }: SeccompProfile, { workspace }: ProfileRequirements): boolean {
  const granted = workspace.seccompProfile;
  return granted !== undefined && type === granted.type && localhostProfile === granted.localhostProfile;
}

function isExempt(profile: SeccompProfile, { exempts }: RuleContext, container?: null): boolean {
  return exempts(exemptionValueOf(profile), container);
}

const isGrantedCel = (profile: Cel, granted: SeccompProfile | undefined): Cel =>
  granted === undefined ? 'false' : isProfileCel(profile, granted);
