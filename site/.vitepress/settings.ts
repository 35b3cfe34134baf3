/** What a build is given by `./dev site`, as JSON in this variable. */
export const SETTINGS_VARIABLE = 'CLOISTER_SITE';

export interface SiteSettings {
  /** Where the site will be, with a slash at the end. undefined: at the root of an address that is not known. */
  readonly url?: string | undefined;
  /** The branch or tag that is built. */
  readonly ref: string;
  /** Every version that is published, with its address. */
  readonly versions: readonly SiteVersion[];
}

export interface SiteVersion {
  readonly ref: string;
  readonly url: string;
}

export const LOCAL: SiteSettings = { ref: 'main', versions: [] };

export function readSettings(): SiteSettings {
  const written = process.env[SETTINGS_VARIABLE];
  return written === undefined ? LOCAL : (JSON.parse(written) as SiteSettings);
}
