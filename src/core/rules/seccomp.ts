import { exemptedAs, printProfile } from '../named-profile.ts';
import { type Container, type SeccompProfile, specOf } from '../pod.ts';
import type { Terms } from '../terms.ts';
import type { Context, Rule } from './rule.ts';

const RUNTIME_DEFAULT = { type: 'RuntimeDefault' } as const;

/**
 * The seccomp filter keeps system calls from the kernel that no workspace needs. Unset means unfiltered, unless the kubelet says
 * otherwise, which no pod can see.
 *
 * Fields: seccompProfile of the pod's and of each container's securityContext; the container's counts where it has one
 * Allowed: RuntimeDefault; in workspace containers also the grant's own profile
 * Fix: RuntimeDefault, on the pod where containers leave it to the pod; on workspace containers the grant's profile. A container's or a
 * pod's own RuntimeDefault stays, unless `grantTo` names the container.
 * Source: https://kubernetes.io/docs/tutorials/security/seccomp/
 */
export const seccomp: Rule = {
  id: 'seccomp',
  summary: "Each container runs under the runtime's seccomp filter or its grant's.",
  fields: ['spec.securityContext.seccompProfile', 'spec.containers[*].securityContext.seccompProfile'],
  exempts: 'the name of a Localhost profile, or Unconfined',
  checkPod(pod, report, context) {
    const own = specOf(pod).securityContext?.seccompProfile;
    const path = ['spec', 'securityContext', 'seccompProfile'];
    const passes = own != null && (isDefault(own) || isGrants(own, context.terms) || isExempt(own, context));
    if (own != null && !passes) report({ path, message: `seccompProfile is ${printProfile(own)}`, fix: { set: RUNTIME_DEFAULT } });
    if (own == null && context.containers.some((each) => leavesDefaultToPod(each, context.terms))) {
      report({ path, message: 'seccompProfile is not set', fix: { set: RUNTIME_DEFAULT } });
    }
  },
  checkContainer(container, report, context, pod) {
    const { terms } = context;
    const path = ['securityContext', 'seccompProfile'];
    const own = container.spec.securityContext?.seccompProfile;
    const effective = own ?? specOf(pod).securityContext?.seccompProfile;
    const grants = container.granted ? terms.workspace.seccompProfile : undefined;

    if (grants === undefined) {
      if (effective == null && leavesDefaultToPod(container, terms)) return;
      if (own == null && effective != null && !isGrants(effective, terms) && container.list !== 'ephemeralContainers') return;
      if (effective != null && (isDefault(effective) || isExempt(effective, context))) return;
      return report({ path, message: `seccompProfile is ${printProfile(effective)}`, fix: { set: RUNTIME_DEFAULT } });
    }
    if (effective != null && (isGrants(effective, terms) || isExempt(effective, context))) return;
    if (effective == null || !isDefault(effective)) {
      return report({ path, message: `seccompProfile is ${printProfile(effective)}`, fix: { set: { ...grants } } });
    }
    const message = 'seccompProfile is RuntimeDefault, under which builds and nested containers will not work';
    const remedy = 'drop seccompProfile if this container is the workspace';
    report(
      terms.grantTo === undefined
        ? { path, message, remedy, kind: 'promise' }
        : { path, message, fix: { set: { ...grants } }, kind: 'promise' },
    );
  },
};

/** Containers that say nothing and want nothing better: one line on the pod serves them all. Ephemeral ones come when it cannot be written any more. */
function leavesDefaultToPod({ spec, granted, list }: Container, terms: Terms): boolean {
  const wantsBetter = granted && terms.workspace.seccompProfile !== undefined;
  return spec.securityContext?.seccompProfile == null && !wantsBetter && list !== 'ephemeralContainers';
}

const isDefault = (profile: SeccompProfile): boolean => profile.type === 'RuntimeDefault';

function isGrants({ type, localhostProfile }: SeccompProfile, { workspace }: Terms): boolean {
  const grants = workspace.seccompProfile;
  return grants !== undefined && type === grants.type && localhostProfile === grants.localhostProfile;
}

function isExempt(profile: SeccompProfile, { exempts }: Context): boolean {
  return exempts(exemptedAs(profile));
}
