import type { DoctorAnswer } from '../../doctor/check.ts';

/** The result of `cloister doctor`, for people and programs. */
export interface DoctorReport {
  readonly cluster: {
    /** `v1.36.3`. */
    readonly version: string;
    /** undefined: they could not be listed. */
    readonly nodes: number | undefined;
    /** Of this command. */
    readonly cloister: string;
    /** SHA-256 of the configuration. */
    readonly configuration: string;
    /** Where the configuration was read: a file or a ConfigMap. */
    readonly origin: string;
    readonly profiles: readonly { readonly id: string; readonly grant: string }[];
    /** How many namespaces a profile is in force in, by mode; undefined: they could not be listed. */
    readonly namespaces: { readonly enforce: number; readonly warn: number; readonly audit: number } | undefined;
  };
  /** Worst first. */
  readonly answers: readonly DoctorAnswer[];
}
