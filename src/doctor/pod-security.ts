import type { Profile } from '../core/profiles/profile.ts';
import { BASELINE_CAPABILITIES } from '../core/requirements.ts';

/** From this minor version on, baseline accepts `procMount: Unmasked` in a pod with a user namespace. Source: KEP-4265. */
const UNMASKED_SINCE = 35;

/** Why a level of Pod Security refuses the pods of a profile that use its whole grant. */
export interface Refusal {
  /** `procMount Unmasked`. */
  readonly because: string;
  /** What the namespace may enforce instead. */
  readonly instead: string;
}

/**
 * @param version `latest`, or as `v1.34`
 * @param serverMinor the minor version of the API server: what its version of Pod Security does not know, no label turns on
 * @returns undefined: the level accepts them
 */
export function refusalOf(
  { grant, requirementsFor }: Profile,
  { level, version, serverMinor }: { readonly level: string; readonly version: string; readonly serverMinor: number },
): Refusal | undefined {
  const { workspace } = requirementsFor(grant);
  if (level !== 'baseline' && level !== 'restricted') return undefined;
  const { makesPrivileged, addedCapabilities = [], appArmorProfile } = workspace;
  const beyond = addedCapabilities.filter((each) => !(BASELINE_CAPABILITIES as readonly string[]).includes(each));
  const never = 'Set pod-security.kubernetes.io/enforce to privileged: Cloister judges the pods there.';
  if (makesPrivileged) return { because: 'privileged containers', instead: never };
  if (beyond.length > 0) return { because: `the capabilities ${beyond.join(', ')}`, instead: never };
  if (appArmorProfile?.type === 'Unconfined') return { because: 'the AppArmor profile Unconfined', instead: never };
  const minor = /^v1\.(\d+)$/.exec(version)?.[1];
  if (workspace.unmasksProc && Math.min(Number(minor ?? serverMinor), serverMinor) < UNMASKED_SINCE) {
    const smaller = level === 'restricted' ? 'none' : 'sudo';
    const instead =
      serverMinor < UNMASKED_SINCE
        ? `Set pod-security.kubernetes.io/enforce to privileged, where Cloister judges the pods, or the profile's grant to ${smaller}: baseline accepts it since Kubernetes 1.${UNMASKED_SINCE}.`
        : `Set pod-security.kubernetes.io/enforce-version to v1.${UNMASKED_SINCE} or later, or the profile's grant to ${smaller}.`;
    return { because: 'procMount Unmasked', instead };
  }
  if (level === 'restricted' && workspace.allowPrivilegeEscalation) {
    return { because: 'privilege escalation, which sudo needs', instead: 'Set pod-security.kubernetes.io/enforce to baseline.' };
  }
  return undefined;
}
