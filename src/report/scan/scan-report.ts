import type { ExemptionUse } from '../../core/exemptions.ts';
import type { Mode } from '../../core/request-record.ts';
import type { Finding } from '../../core/rules/rule.ts';
import type { WallAnswer } from '../../live/answer.ts';

export type { WallAnswer, WallFinding, WallState } from '../../live/answer.ts';

/** The result of `cloister scan`, for people and programs. */
export interface ScanReport {
  /** When the scan began. */
  readonly time: Date;
  readonly seconds: number;
  readonly cluster: ScannedCluster;
  /** Every pod that was judged, worst first; a pod with several modes has one row each. */
  readonly rows: readonly ScanRow[];
  /** Namespaces that were read completely; none where nodes or RuntimeClasses could not be read. Reports of earlier runs are deleted only there. */
  readonly namespaces: readonly string[];
  /** `namespace/name` of the pods that are not judged because they mirror static pods of nodes. */
  readonly mirrors: readonly string[];
  /** Why the scan is incomplete: what could not be read, each a sentence that names the missing right or the error. Empty: complete. */
  readonly incomplete: readonly string[];
  /** What else the reader should know, each a sentence: optional data that could not be read, another configuration of the webhook. */
  readonly notes: readonly string[];
  /** Whether pages of one list may show different moments (410 Gone in the middle). */
  readonly isInconsistent: boolean;
}

export interface ScannedCluster {
  /** `v1.36.3`; undefined: unknown. */
  readonly version: string | undefined;
  readonly configuration: {
    /** Of the configuration that was scanned with. */
    readonly sha256: string;
    /** Whether the serving pods run it; undefined: they could not be asked. */
    readonly matchesWebhook: boolean | undefined;
  };
}

/** The mode that is in force for the pod; `opt-in`: its own label, in a namespace that nothing governs; `preview`: `--profile`. */
export type ScanMode = Mode | 'opt-in' | 'preview';

export interface ScanRow {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly node: string | undefined;
  readonly runtimeClass: string | undefined;
  /** `StatefulSet/ws-1`: the controller; undefined: none. */
  readonly owner: string | undefined;
  readonly created: Date;
  readonly mode: ScanMode;
  readonly profile: string;
  readonly grant: string;
  readonly verdict: ScanVerdict;
  readonly findings: readonly Finding[];
  readonly exempted: readonly ExemptionUse[];
  readonly wall: WallAnswer;
  /** Sentences about the pod that are no fault: older than its label, who chose its node is unknown. */
  readonly notes: readonly string[];
}

/** `escapes`: a rule is broken; `short`: only promises are missing; `unjudged`: the pod cannot be decoded. */
export type ScanVerdict = 'clean' | 'short' | 'escapes' | 'unjudged';
