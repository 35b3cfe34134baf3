import { type Cel, quote, textAt } from './cel.ts';
import { excerptOf } from './excerpt.ts';

/** An AppArmor or seccomp profile in a security context: a type and, for Localhost, the name of a profile on the node. */
export interface SecurityProfile {
  readonly type?: string | null;
  readonly localhostProfile?: string | null;
}

/** For messages. */
export function printProfile(profile: SecurityProfile | null | undefined): string {
  if (profile == null) return 'not set';
  const { type, localhostProfile } = profile;
  return type === 'Localhost' ? `Localhost ${excerptOf(localhostProfile ?? 'without a name')}` : excerptOf(type ?? 'without a type');
}

/** For a finding: the exemption that would let the profile through. A profile without a name has none. */
export function exemptionOf(profile: SecurityProfile | null | undefined): { readonly exemption?: string } {
  const exemption = profile == null ? '' : exemptionValueOf(profile);
  return exemption === '' ? {} : { exemption };
}

/** The value that exempts the profile in a configuration. */
export function exemptionValueOf({ type, localhostProfile }: SecurityProfile): string {
  return (type === 'Localhost' ? localhostProfile : type) ?? '';
}

/** The same in CEL, where a profile always has a type, because the API server validates it first. */
export const isDefaultCel = (profile: Cel): Cel => `${profile}.type == 'RuntimeDefault'`;
export const isProfileCel = (profile: Cel, { type, localhostProfile }: SecurityProfile): Cel =>
  `(${profile}.type == ${quote(type ?? '')} && ${textAt(profile, 'localhostProfile')} == ${quote(localhostProfile ?? '')})`;
export const exemptionValueCel = (profile: Cel): Cel =>
  `(${profile}.type == 'Localhost' ? ${textAt(profile, 'localhostProfile')} : ${profile}.type)`;
/** @param optional a profile or none */
export const printProfileCel = (optional: Cel): Cel =>
  `${optional}.optMap(p, has(p.localhostProfile) ? p.type + ' ' + p.localhostProfile : p.type).orValue('not set')`;
/** A profile. */
export const profileCel = ({ type, localhostProfile }: SecurityProfile): Cel =>
  localhostProfile == null
    ? `{'type': ${quote(type ?? '')}}`
    : `{'type': ${quote(type ?? '')}, 'localhostProfile': ${quote(localhostProfile)}}`;
