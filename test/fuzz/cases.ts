import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import {
  bytesOf,
  containerStroke,
  type Doc,
  hostilePod,
  malformed,
  paint,
  paintAll,
  type ReviewOf,
  reviewOf,
  type Setting,
  type Stroke,
  setting,
  stroke,
} from '../support/hostile-pods.ts';
import { list, map } from '../support/oracle.ts';

/** One generated review: how it comes about, and where it is sent. */
export interface Case {
  readonly setting: Setting;
  readonly path: string;
  readonly pod: Doc;
  /** Whether the pod was repaired by the mutating entry before it is asked about; an update is then one of a pod that runs. */
  readonly isRepaired: boolean;
  /** Later changes by another webhook, or by the author of an update. */
  readonly changes: readonly Stroke[];
  /** An ephemeral container that an update adds. */
  readonly added: Doc | undefined;
  readonly review: ReviewOf;
  /** What the pod is wrapped in; undefined: it is a pod. */
  readonly workload: Workload | undefined;
  /** What is forged or broken about the envelope. */
  readonly envelope: readonly Stroke[];
  /** A review that an API server sent is taken instead, and the same done to it. */
  readonly recorded: Doc | undefined;
  /** What is cut out of the bytes and put in. */
  readonly edits: readonly Edit[];
  /** Picks among what can be checked of one case, but not of each. */
  readonly dice: number;
}

export interface Edit {
  /** A part of the whole, from 0 to 1. */
  readonly at: number;
  readonly cut: number;
  readonly put: Uint8Array;
}

interface Workload {
  readonly group: string;
  readonly kind: string;
  readonly at: readonly string[];
}

const root = new URL('../../', import.meta.url);
const folder = (name: string): string[] => readdirSync(new URL(name, root)).map((file) => readFileSync(new URL(name + file, root), 'utf8'));

/** Reviews as a real API server sent them. */
export const RECORDED: readonly Doc[] = [...folder('test/fixtures/reviews/'), ...folder('bench/reviews/recorded/')]
  .flatMap((text) => text.trim().split('\n'))
  .map((line) => JSON.parse(line) as Doc);
const smallOnes = RECORDED.filter((each) => JSON.stringify(each).length < 16_384);

const path = fc.oneof(
  { arbitrary: fc.constantFrom('/mutate/own', '/validate/enforce/own'), weight: 8 },
  fc.constantFrom('/mutate/other', '/validate/enforce/other', '/validate/warn/own', '/validate/audit/own', '/validate/audit/other'),
  fc.constantFrom('/advise/warn/own', '/advise/enforce/own', '/advise/audit/own', '/unknown/enforce', '/unknown/warn', '/unknown/audit'),
  fc.constantFrom('/mutate/constructor', '/validate/enforce/unconfigured', '/validate/warn/unconfigured', '/advise/enforce/unconfigured'),
);

const mirror: ReviewOf = { username: 'system:node:control-plane-0', groups: ['system:nodes'] };
const review: fc.Arbitrary<ReviewOf> = fc.oneof(
  { arbitrary: fc.constant({}), weight: 12 },
  { arbitrary: fc.constant({ operation: 'UPDATE' }), weight: 6 },
  { arbitrary: fc.constant({ operation: 'UPDATE', subresource: 'ephemeralcontainers' }), weight: 4 },
  fc.record({
    operation: fc.constantFrom('CREATE', 'UPDATE', 'DELETE', 'CONNECT', '', 'create', '__proto__'),
    subresource: fc.constantFrom(undefined, 'resize', 'status', 'binding', 'exec', 'eviction', 'ephemeralcontainers', 'new', 'constructor'),
  }),
  fc.constantFrom(mirror, { ...mirror, operation: 'UPDATE' }, { ...mirror, groups: [] }, { ...mirror, username: 'system:node:' }),
);

const TEMPLATE = ['spec', 'template'];
const workload: fc.Arbitrary<Workload> = fc.constantFrom(
  ...['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet'].map((kind) => ({ group: 'apps', kind, at: TEMPLATE })),
  { group: 'batch', kind: 'Job', at: TEMPLATE },
  { group: 'batch', kind: 'CronJob', at: ['spec', 'jobTemplate', ...TEMPLATE] },
  { group: '', kind: 'PodTemplate', at: ['template'] },
  { group: '', kind: 'ReplicationController', at: TEMPLATE },
  { group: 'example.com', kind: 'Pod', at: [] },
);

const REQUEST_FIELDS =
  'uid kind resource operation subResource namespace name userInfo dryRun object oldObject options requestKind __proto__'.split(' ');
const envelope: fc.Arbitrary<Stroke> = fc.oneof(
  fc.record({
    at: fc.constantFrom(...REQUEST_FIELDS).map((name) => ['request', name]),
    value: fc.oneof(
      fc.constantFrom<unknown>(null, 1, '', 'x', [], {}, true, [null], { group: 1 }, { group: 'apps', kind: 'Deployment' }, '\u202e\u0000'),
      fc.constantFrom<unknown>({ kind: 'Pod' }, { group: null, kind: 'Pod' }, { username: 1 }, { groups: ['system:nodes', 1] }, '\ud800'),
    ),
  }),
  fc.record({
    at: fc.constantFrom(['kind'], ['apiVersion'], ['request'], ['response'], ['__proto__']),
    value: fc.constantFrom<unknown>(null, '', 'AdmissionReview', 'admission.k8s.io/v1', 'admission.k8s.io/v1beta1', {}, [], { uid: 'x' }),
  }),
);

/** What means something in JSON, so that some of the broken reviews can still be read. */
const TOKENS = 'null,{},[],"",{,},[,],:,",\\,\\u0000,\\ud800,1e400,-0,true,0,1,"spec":,"containers":,"privileged":,"__proto__":'
  .split(',')
  .concat(
    ',',
    '\ufeff',
    '"uid":"x",',
    ',"managedFields":[{"manager":"',
    ']},"spec":{',
    '"object":',
    '"oldObject":',
    'Localhost',
    'SYS_ADMIN',
  )
  .map((each) => Buffer.from(each));
/** @param tokens what means something where it is put */
export const editWith = (tokens: readonly Buffer[]): fc.Arbitrary<Edit> =>
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.oneof(fc.constantFrom(0, 1), fc.nat(40)),
    put: fc.oneof(fc.constantFrom(...tokens), fc.uint8Array({ maxLength: 4 })),
  });

export const few = <T>(arbitrary: fc.Arbitrary<T>, none: number, maxLength: number): fc.Arbitrary<T[]> =>
  fc.oneof({ arbitrary: fc.constant<T[]>([]), weight: none }, fc.array(arbitrary, { minLength: 1, maxLength }));

export const rarely = <T>(arbitrary: fc.Arbitrary<T>, outOf: number): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: outOf - 1 }, arbitrary);

const ownerOfMirror: Stroke = { at: ['metadata', 'ownerReferences'], value: [{ apiVersion: 'v1', kind: 'Node', name: 'control-plane-0' }] };
const mirrorStrokes: Stroke[] = [
  ownerOfMirror,
  { at: ['spec', 'nodeName'], value: 'control-plane-0' },
  { at: ['metadata', 'annotations', 'kubernetes.io/config.mirror'], value: 'x' },
];

const change: fc.Arbitrary<Stroke> = fc.oneof({ arbitrary: stroke, weight: 20 }, fc.constantFrom(...mirrorStrokes));

/** An API server lets no other container come to a pod that exists. */
const added = fc
  .tuple(fc.constantFrom('debug-1', 'dev-shell', 'dev', ''), fc.array(containerStroke, { maxLength: 3 }))
  .map(([name, strokes]) => paintAll({ name, image: 'busybox' }, strokes));

/** Every kind of review that may come, the API server's and anybody's. */
export const fuzzed: fc.Arbitrary<Case> = fc.record({
  setting,
  path,
  pod: fc.oneof({ arbitrary: hostilePod, weight: 6 }, malformed),
  isRepaired: fc.boolean(),
  changes: few(change, 1, 4),
  added: rarely(added, 4),
  review,
  workload: rarely(workload, 12),
  envelope: few(envelope, 8, 3),
  recorded: rarely(fc.oneof({ arbitrary: fc.constantFrom(...smallOnes), weight: 12 }, fc.constantFrom(...RECORDED)), 12),
  edits: few(editWith(TOKENS), 10, 4),
  dice: fc.nat(255),
});

/**
 * The bytes of a case.
 * @param repair what the mutating entry makes of a pod
 */
export function bytesOfCase(given: Case, repair: (pod: Doc) => Doc): Buffer {
  const { recorded } = given;
  const before = recorded === undefined ? given.pod : map(map(recorded.request).object);
  const old = given.isRepaired ? repair(before) : before;
  const isUpdate = given.review.operation === 'UPDATE';
  const changed = paintAll(old, isUpdate ? given.changes.filter(mayChange) : given.changes);
  const now = isUpdate && given.added !== undefined ? adding(changed, given.added) : changed;
  const whole = recorded === undefined ? wrapped(now, isUpdate ? old : undefined, given) : put(recorded, now, old, given.review);
  const bytes = bytesOf(paintAll(whole, given.envelope));
  return edited(bytes, given.edits);
}

export function edited(bytes: Buffer, edits: readonly Edit[]): Buffer {
  return edits.reduce((each, { at, cut, put: added }) => {
    const from = Math.floor(at * each.length);
    return Buffer.concat([each.subarray(0, from), added, each.subarray(from + cut)]);
  }, bytes);
}

/** An API server refuses an update of anything else before it asks. */
function mayChange({ at }: Stroke): boolean {
  const [top, field = ''] = at;
  return top !== 'spec' || at.at(-1) === 'image' || UPDATABLE.has(field);
}

const UPDATABLE: ReadonlySet<unknown> = new Set(['affinity', 'ephemeralContainers', 'nodeSelector', 'schedulingGates', 'tolerations']);

function adding(pod: Doc, container: Doc): Doc {
  return paint(pod, { at: ['spec', 'ephemeralContainers'], value: [...list(map(pod.spec).ephemeralContainers), container] });
}

function wrapped(pod: Doc, old: Doc | undefined, { review: given, workload: around }: Case): Doc {
  if (around === undefined) return reviewOf(pod, old === undefined ? given : { ...given, old });
  const nested = (inner: Doc): Doc => around.at.reduceRight<Doc>((each, step) => ({ [step]: each }), inner);
  const { group, kind } = around;
  const whole = reviewOf(nested(pod), old === undefined ? given : { ...given, old: nested(old) });
  return paint(whole, { at: ['request', 'kind'], value: { group, version: 'v1', kind } });
}

/** An API server's own envelope, and its order of fields. */
function put(recorded: Doc, object: Doc, old: Doc, { operation = 'CREATE', subresource }: ReviewOf): Doc {
  const request = { ...map(recorded.request), operation, ...(subresource === undefined ? {} : { subResource: subresource }) };
  return { ...recorded, request: { ...request, object, oldObject: operation === 'UPDATE' ? old : null } };
}
