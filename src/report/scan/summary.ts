import type { ScanReport, ScanRow } from './scan-report.ts';

/** The counts of a scan. A pod with several modes has several rows and counts once. */
export interface ScanSummary {
  readonly pods: number;
  readonly namespaces: number;
  /** Pods that break a rule. */
  readonly escapes: number;
  /** Pods that break no rule, and lack a part of their grant. */
  readonly promises: number;
  /** Pods whose wall is not there. */
  readonly wallsMissing: number;
  /** Pods that cannot be judged. */
  readonly unjudged: number;
}

export function summaryOf({ rows }: Pick<ScanReport, 'rows'>): ScanSummary {
  const count = (holds: (row: ScanRow) => boolean): number => new Set(rows.filter(holds).map(({ uid }) => uid)).size;
  const escapes = new Set(rows.filter(({ verdict }) => verdict === 'escapes').map(({ uid }) => uid));
  return {
    pods: count(() => true),
    namespaces: new Set(rows.map(({ namespace }) => namespace)).size,
    escapes: escapes.size,
    promises: count(({ verdict, uid }) => verdict === 'short' && !escapes.has(uid)),
    wallsMissing: count(({ wall }) => wall.state === 'missing'),
    unjudged: count(({ verdict }) => verdict === 'unjudged'),
  };
}

/** Of the notes of pods. A tenant can cause different ones without end. */
const MAX_POD_NOTES = 20;
const MAX_MIRRORS_NAMED = 5;

/** What the reader should know beside the rows, each a sentence: notes of pods with the number of these pods, then notes of the whole scan. */
export function notesOf({
  rows,
  mirrors,
  notes,
  isInconsistent,
}: Pick<ScanReport, 'rows' | 'mirrors' | 'notes' | 'isInconsistent'>): readonly string[] {
  const podsByNote = Map.groupBy(
    rows.flatMap(({ uid, notes: ofPod }) => ofPod.map((note) => ({ uid, note }))),
    ({ note }) => note,
  );
  const ofPods = [...podsByNote].slice(0, MAX_POD_NOTES).map(([note, uses]) => {
    const pods = new Set(uses.map(({ uid }) => uid)).size;
    return `${pods} ${pods === 1 ? 'pod' : 'pods'}: ${note}.`;
  });
  const rest = podsByNote.size - ofPods.length;
  return [
    ...ofPods,
    ...(rest > 0 ? [`There are ${rest} further notes of pods: \`cloister scan -o json\` prints all.`] : []),
    ...(mirrors.length > 0 ? [describeMirrors(mirrors)] : []),
    ...notes,
    ...(isInconsistent ? ['The list of pods took long: later pages may be of a later moment.'] : []),
  ];
}

function describeMirrors(mirrors: readonly string[]): string {
  const rest = mirrors.length - MAX_MIRRORS_NAMED;
  const named = `${mirrors.slice(0, MAX_MIRRORS_NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
  return `Not judged, because they mirror static pods of nodes: ${named}.`;
}

/** Whether a report prints the row; the other rows are only counted. */
export function isNoteworthy({ verdict, findings, wall }: ScanRow): boolean {
  if (verdict !== 'clean' || findings.length > 0) return true;
  return wall.state === 'missing' || wall.state === 'down' || wall.findings.some(({ severity }) => severity !== 'info');
}
