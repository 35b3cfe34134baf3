import { readFile } from 'node:fs/promises';
import { fileOf, PROFILES, type Recording } from './recordings.ts';

/** A review made to cost whoever takes it more than its size says. */
export interface Hostile {
  readonly what: string;
  readonly body: Buffer;
}

const MIB = 1024 * 1024;
const TEMPLATE: Recording = { size: 'small', path: `/mutate/${PROFILES.sudo}` };

/** The first has more values than anybody should parse; of the others there is one of each kind. */
export async function hostiles(): Promise<readonly [flood: Hostile, ...others: Hostile[]]> {
  const review = await template();
  return [grow(review, FLOOD), ...SHAPES.map((shape) => grow(review, shape))];
}

/** What a field of the pod is filled with, until the review has its size or enough of it. */
interface Shape {
  readonly what: string;
  /** From the pod to the list, map or string. */
  readonly at: readonly string[];
  readonly kind: 'list' | 'map' | 'string';
  readonly bytes: number;
  readonly most?: number;
  readonly unit: (index: number) => string;
}

const FLOOD: Shape = { what: '2.8 million empty objects', at: ['spec', 'tolerations'], kind: 'list', bytes: 8 * MIB, unit: () => '{}' };

const FAULTY = '{"securityContext":{"privileged":true,"procMount":"Unmasked","runAsUser":999999,"capabilities":{"add":["ALL"]}}}';

/** Whatever is judged where it arrives is smaller than this. */
const SMALL = 256 * 1024;

const SHAPES: readonly Shape[] = [
  { what: '249,000 empty objects', at: ['spec', 'tolerations'], kind: 'list', bytes: 8 * MIB, most: 249_000, unit: () => '{}' },
  { what: '249,000 empty containers', at: ['spec', 'containers'], kind: 'list', bytes: 8 * MIB, most: 249_000, unit: () => '{}' },
  {
    what: '420,000 long numbers',
    at: ['spec', 'tolerations'],
    kind: 'list',
    bytes: 8 * MIB,
    most: 420_000,
    unit: (index) => `${index / 7}`,
  },
  {
    what: '499,000 keys',
    at: ['metadata', 'annotations'],
    kind: 'map',
    bytes: 8 * MIB,
    most: 499_000,
    unit: (index) => `"key-${index}":""`,
  },
  { what: 'one string of 8 MiB', at: ['metadata', 'annotations', 'text'], kind: 'string', bytes: 8 * MIB, unit: () => 'x' },
  {
    what: 'one string of 8 MiB, all escaped',
    at: ['metadata', 'annotations', 'text'],
    kind: 'string',
    bytes: 8 * MIB,
    unit: () => '\\u0078',
  },
  { what: 'lists, 249,000 deep', at: ['spec', 'tolerations'], kind: 'list', bytes: 8 * MIB, most: 1, unit: () => nested(249_000) },
  { what: '45,000 faulty containers', at: ['spec', 'containers'], kind: 'list', bytes: 8 * MIB, most: 45_000, unit: () => FAULTY },
  { what: '256 KiB of empty containers', at: ['spec', 'containers'], kind: 'list', bytes: SMALL, unit: () => '{}' },
  { what: '256 KiB of empty volumes', at: ['spec', 'volumes'], kind: 'list', bytes: SMALL, unit: () => '{}' },
  { what: '256 KiB of keys', at: ['metadata', 'annotations'], kind: 'map', bytes: SMALL, unit: (index) => `"${index}":""` },
  { what: '256 KiB of faulty containers', at: ['spec', 'containers'], kind: 'list', bytes: SMALL, unit: () => FAULTY },
];

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

async function template(): Promise<string> {
  const review = JSON.parse(await readFile(fileOf(TEMPLATE), 'utf8'));
  delete review.request.object.metadata.managedFields;
  return JSON.stringify(review);
}

const MARK = 'what the field is filled with';
const FRAMES = { list: [MARK], map: { [MARK]: 0 }, string: MARK } as const;
const MARKS = { list: `"${MARK}"`, map: `"${MARK}":0`, string: MARK } as const;

function grow(template: string, { what, at, kind, bytes, most = Number.POSITIVE_INFINITY, unit }: Shape): Hostile {
  const review = JSON.parse(template);
  const last = at.at(-1) as string;
  at.slice(0, -1).reduce((parent, step) => parent[step], review.request.object)[last] = FRAMES[kind];
  const [head = '', tail = ''] = JSON.stringify(review).split(MARKS[kind]);
  const between = kind === 'string' ? '' : ',';
  const units: string[] = [];
  for (let room = bytes - head.length - tail.length; units.length < most; ) {
    const next = unit(units.length);
    room -= next.length + between.length;
    if (room < 0) break;
    units.push(next);
  }
  return { what, body: Buffer.from(head + units.join(between) + tail) };
}
