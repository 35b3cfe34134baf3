import { readFile } from 'node:fs/promises';
import { fileOf, PROFILES, type Recording, readRecording, SMALL as SMALL_REVIEW } from './recordings.ts';

/** A review whose cost is out of proportion to its size. */
export interface HostileBody {
  readonly label: string;
  readonly body: Buffer;
}

const MIB = 1024 * 1024;
const TEMPLATE: Recording = { size: 'small', path: `/mutate/${PROFILES.sudo}` };

/** The first has more values than a server should parse; each of the others is of a different kind. */
export async function makeHostileBodies(): Promise<readonly [flood: HostileBody, ...others: HostileBody[]]> {
  const review = await readTemplate();
  return [fillField(review, FLOOD), ...SHAPES.map((shape) => fillField(review, shape))];
}

/** A field of the pod, filled with repeated units until the review has its size or the field enough of them. */
interface Shape {
  readonly label: string;
  /** The path from the pod to the list, map or string. */
  readonly at: readonly string[];
  readonly kind: 'list' | 'map' | 'string';
  readonly bytes: number;
  readonly maxUnits?: number;
  readonly unit: (index: number) => string;
  /** Changes the pod before the field is filled. */
  readonly prepare?: (pod: { spec: { securityContext?: object } }) => void;
}

const FLOOD: Shape = { label: '2.8 million empty objects', at: ['spec', 'tolerations'], kind: 'list', bytes: 8 * MIB, unit: () => '{}' };

const FAULTY = '{"securityContext":{"privileged":true,"procMount":"Unmasked","runAsUser":999999,"capabilities":{"add":["ALL"]}}}';

/** Reviews up to this size are judged on the main thread. */
const SMALL = 256 * 1024;

const SHAPES: readonly Shape[] = [
  { label: '249,000 empty objects', at: ['spec', 'tolerations'], kind: 'list', bytes: 8 * MIB, maxUnits: 249_000, unit: () => '{}' },
  { label: '249,000 empty containers', at: ['spec', 'containers'], kind: 'list', bytes: 8 * MIB, maxUnits: 249_000, unit: () => '{}' },
  {
    label: '420,000 long numbers',
    at: ['spec', 'tolerations'],
    kind: 'list',
    bytes: 8 * MIB,
    maxUnits: 420_000,
    unit: (index) => `${index / 7}`,
  },
  {
    label: '499,000 keys',
    at: ['metadata', 'annotations'],
    kind: 'map',
    bytes: 8 * MIB,
    maxUnits: 499_000,
    unit: (index) => `"key-${index}":""`,
  },
  { label: 'one string of 8 MiB', at: ['metadata', 'annotations', 'text'], kind: 'string', bytes: 8 * MIB, unit: () => 'x' },
  {
    label: 'one string of 8 MiB, all escaped',
    at: ['metadata', 'annotations', 'text'],
    kind: 'string',
    bytes: 8 * MIB,
    unit: () => '\\u0078',
  },
  { label: 'lists, 249,000 deep', at: ['spec', 'tolerations'], kind: 'list', bytes: 8 * MIB, maxUnits: 1, unit: () => nested(249_000) },
  { label: '45,000 faulty containers', at: ['spec', 'containers'], kind: 'list', bytes: 8 * MIB, maxUnits: 45_000, unit: () => FAULTY },
  { label: '256 KiB of empty containers', at: ['spec', 'containers'], kind: 'list', bytes: SMALL, unit: () => '{}' },
  { label: '256 KiB of empty volumes', at: ['spec', 'volumes'], kind: 'list', bytes: SMALL, unit: () => '{}' },
  { label: '256 KiB of keys', at: ['metadata', 'annotations'], kind: 'map', bytes: SMALL, unit: (index) => `"${index}":""` },
  { label: '256 KiB of faulty containers', at: ['spec', 'containers'], kind: 'list', bytes: SMALL, unit: () => FAULTY },
  {
    label: '990 runtime annotations with keys of 2,000 slashes',
    at: ['metadata', 'annotations'],
    kind: 'map',
    bytes: 8 * MIB,
    maxUnits: 990,
    unit: (index) => `"io.kubernetes.cri-o.${'/'.repeat(2_000)}${index}":"true"`,
  },
  {
    label: '990 added containers that inherit a seccomp profile of 240,000 letters',
    at: ['spec', 'ephemeralContainers'],
    kind: 'list',
    bytes: 8 * MIB,
    maxUnits: 990,
    unit: (index) => `{"name":"debug-${index}"}`,
    prepare: ({ spec }) => {
      spec.securityContext = { seccompProfile: { type: 'Localhost', localhostProfile: 'x'.repeat(240_000) } };
    },
  },
];

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

async function readTemplate(): Promise<string> {
  const review = JSON.parse(await readFile(fileOf(TEMPLATE), 'utf8'));
  delete review.request.object.metadata.managedFields;
  return JSON.stringify(review);
}

const MARK = 'replaced by the units';
const FRAMES = { list: [MARK], map: { [MARK]: 0 }, string: MARK } as const;
const MARKS = { list: `"${MARK}"`, map: `"${MARK}":0`, string: MARK } as const;

function fillField(template: string, { label, at, kind, bytes, maxUnits = Number.POSITIVE_INFINITY, unit, prepare }: Shape): HostileBody {
  const review = JSON.parse(template);
  prepare?.(review.request.object);
  const last = at.at(-1) as string;
  at.slice(0, -1).reduce((parent, step) => parent[step], review.request.object)[last] = FRAMES[kind];
  const [head = '', tail = ''] = JSON.stringify(review).split(MARKS[kind]);
  const between = kind === 'string' ? '' : ',';
  const units: string[] = [];
  for (let room = bytes - head.length - tail.length; units.length < maxUnits; ) {
    const next = unit(units.length);
    room -= next.length + between.length;
    if (room < 0) break;
    units.push(next);
  }
  return { label, body: Buffer.from(head + units.join(between) + tail) };
}

/** A pod with annotations that a rule removes, nearly as many as one patch can remove; the answer has more than 100 KB. */
export async function makeReviewWithLargeAnswer(): Promise<string> {
  const review = JSON.parse(`${await readRecording(SMALL_REVIEW)}`);
  const { metadata } = review.request.object;
  const keys = Array.from({ length: 300 }, (_, index) => `io.kubernetes.cri-o.${'x'.repeat(200)}${index}`);
  metadata.annotations = { ...metadata.annotations, ...Object.fromEntries(keys.map((key) => [key, 'true'])) };
  return JSON.stringify(review);
}
