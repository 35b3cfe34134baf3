import type { Finding } from '../core/rules/rule.ts';
import { mayHaveFailed } from '../live/checks/pod.ts';
import type { ClassFacts, EventFacts, NodeFacts } from '../live/facts.ts';
import { answerWall } from '../live/wall.ts';
import type { ScanRow } from '../report/scan/scan-report.ts';
import type { DraftRow } from './judge-pod.ts';

/** What the cluster says about walls; undefined: it was not read. */
export interface ClusterFacts {
  readonly nodes: ReadonlyMap<string, NodeFacts> | undefined;
  readonly classes: ReadonlyMap<string, ClassFacts> | undefined;
  readonly now: Date;
}

/** Makes rows of pods. A row whose wall depends on events or on other pods waits; of every other pod nothing but its row is kept. */
export interface RowMaker {
  add(draft: DraftRow): void;
  /** The namespaces with pods that do not work. */
  failingNamespaces(): readonly string[];
  /** Call it once, after all pods are added. */
  finish(eventsOf: (namespace: string) => readonly EventFacts[] | undefined): readonly ScanRow[];
}

export function makeRows(cluster: ClusterFacts): RowMaker {
  const share = makeSharing();
  const rows: ScanRow[] = [];
  const waiting: DraftRow[] = [];
  /** By namespace and claim: the pods without a wall that may write to it. */
  const unwalled = new Map<string, Set<string>>();

  return {
    add(judged) {
      const draft = { ...judged, findings: judged.findings.map(share) };
      const { namespace, name, mode, facts, profileFacts } = draft;
      // A profile that only warns does not say which wall the pod has.
      if (profileFacts?.isRequested === false && mode !== 'warn' && mode !== 'audit') {
        for (const claim of facts.claims) {
          const key = `${namespace}/${claim}`;
          unwalled.set(key, (unwalled.get(key) ?? new Set()).add(name));
        }
      }
      if (facts.claims.length > 0 || mayHaveFailed(facts, cluster.now)) waiting.push(draft);
      else rows.push(rowOf(draft, undefined));
    },
    failingNamespaces: () => [
      ...new Set(waiting.filter(({ facts }) => mayHaveFailed(facts, cluster.now)).map(({ namespace }) => namespace)),
    ],
    finish: (eventsOf) => worstFirst([...rows, ...waiting.map((draft) => rowOf(draft, eventsOf(draft.namespace)))]),
  };

  function rowOf({ facts: pod, profileFacts: profile, ...row }: DraftRow, events: readonly EventFacts[] | undefined): ScanRow {
    // Nothing says which wall a profile has that is not configured.
    if (profile === undefined) return { ...row, wall: { state: 'claimed', findings: [] } };
    const sharers = new Map<string, string>();
    for (const claim of pod.claims) {
      const other = unwalled
        .get(`${row.namespace}/${claim}`)
        ?.values()
        .find((name) => name !== row.name);
      if (other !== undefined) sharers.set(claim, other);
    }
    const ofPod = events?.filter(({ uid }) => uid === row.uid);
    return { ...row, wall: answerWall({ ...cluster, pod, profile, events: ofPod, sharers }) };
  }
}

/** Findings that are remembered. Workspaces are made from a few templates, so most pods have the findings of another one. */
const MAX_SHARED = 4_096;

/** Makes the function that returns, for a finding, an earlier one that is equal: ten findings of each pod would be most of the memory of a large scan. */
function makeSharing(): (finding: Finding) => Finding {
  const known = new Map<string, Finding>();
  return (finding) => {
    const key = JSON.stringify(finding);
    const earlier = known.get(key);
    if (earlier !== undefined) return earlier;
    if (known.size === MAX_SHARED) known.clear();
    known.set(key, finding);
    return finding;
  };
}

/** Rows by severity, namespace and name. */
function worstFirst(rows: readonly ScanRow[]): ScanRow[] {
  return rows.toSorted((a, b) => rankOf(a) - rankOf(b) || compare(a.namespace, b.namespace) || compare(a.name, b.name));
}

/** A missing wall is as bad as an escape: what the rules promise is not there. */
function rankOf({ verdict, wall }: ScanRow): number {
  if (verdict === 'escapes' || wall.state === 'missing') return 0;
  if (verdict === 'unjudged') return 1;
  if (verdict === 'short' || wall.state === 'down') return 2;
  return wall.findings.some(({ severity }) => severity !== 'info') ? 3 : 4;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
