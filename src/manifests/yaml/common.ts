import {
  COLLECTION_STYLE,
  EVENT_ID,
  type Event,
  getScalarValue,
  type MappingEvent,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  type SequenceEvent,
  YAMLException,
} from 'js-yaml';
import type { Json } from '../../core/json.ts';
import { skipGap } from './gaps.ts';
import { writtenLength } from './library.ts';
import { valueOfPlain } from './scalars.ts';
import { put, type ReadDocument, type Span, type YamlMember, type YamlNode, type YamlPair, type YamlScalar } from './tree.ts';

/** Documents with more levels are left to the package `yaml`. */
const MAX_DEPTH = 100;

/**
 * Reads a document with the package `js-yaml`, which takes a tenth of the time of the package `yaml`. The values are made here of its tokens, because
 * what it makes of them has no places.
 *
 * Reads the part of YAML that nearly all manifests are written in: maps, lists and scalars of all styles, in blocks and in brackets. It leaves to the
 * package `yaml` what is rare or has a problem: anchors, tags, directives, keys behind `?`, keys that occur twice, and a document that is no map.
 * @param text of at most one document
 * @returns undefined: the document must be read by `readByLibrary`
 */
export function readCommon(text: string): ReadDocument | undefined {
  if (hasRareLine(text)) return undefined;
  try {
    return readEvents(text, parseEvents(text, { maxDepth: MAX_DEPTH }));
  } catch (error) {
    if (error instanceof YAMLException || error instanceof Uncommon) return undefined;
    throw error;
  }
}

/**
 * Lines that the two packages read in different ways, or may: directives, `...`, tabs, line ends of Windows, lines of blanks alone, block scalars that
 * give their indentation, and a comment that is indented less than what follows it.
 */
const RARE_LINE = /^(?:%|\.\.\.)|\t|\r\n|^ +$|[|>][+-]?[1-9]|^( *)#.*\n\n*\1 +\S/m;

/** Also true for a byte order mark that is not the first character. */
function hasRareLine(text: string): boolean {
  return RARE_LINE.test(text) || text.includes('\ufeff', 1);
}

/** Thrown where a document leaves the common part of YAML. */
class Uncommon extends Error {}

interface Read {
  readonly node: YamlNode;
  readonly value: Json;
}

type CollectionEvent = MappingEvent | SequenceEvent;

/** The offset of what is not written. */
const NOWHERE = -1;

const NO_PROPERTIES: readonly Span[] = [];

function readEvents(text: string, events: readonly Event[]): ReadDocument {
  let next = 0;
  /** Behind the token that was read last. Between it and the next one are only white space, comments and indicators. */
  let at = 0;
  const head = events[next];
  next += 1;
  if (head?.type !== EVENT_ID.DOCUMENT) throw new Uncommon();
  if (head.explicitStart) at = skipGap(text, text.startsWith('\ufeff') ? 1 : 0) + '---'.length;
  const { node: root, value } = read();
  if (root.kind !== 'map' || events.length !== next + 1) throw new Uncommon();
  return { root, value, aliases: [], merges: new Map() };

  function read(): Read {
    const event = events[next];
    next += 1;
    if (event === undefined || !('tagStart' in event) || event.anchorStart !== NOWHERE || event.tagStart !== NOWHERE) throw new Uncommon();
    if (event.type === EVENT_ID.SCALAR) return readScalar(event);
    return event.type === EVENT_ID.MAPPING ? readMap(event) : readList(event);
  }

  function readScalar(event: ScalarEvent): Read {
    const node = scalarOf(event);
    const source = getScalarValue(text, event);
    const value = node.style === 'plain' ? valueOfPlain(source) : source;
    // The packages differ in empty lines below a line of quoted text that ends with a backslash.
    const isContinued = node.style === 'double-quoted' && !event.fast && /\\\r?\n/.test(text.slice(node.start, node.end));
    if (value === undefined || isContinued) throw new Uncommon();
    return { node, value };
  }

  function scalarOf({ style, valueStart, valueEnd }: ScalarEvent): YamlScalar {
    if (valueStart === NOWHERE) return { kind: 'scalar', style: 'plain', start: at, end: at };
    if (style === SCALAR_STYLE.PLAIN) {
      at = valueEnd;
      return { kind: 'scalar', style: 'plain', start: valueStart, end: at };
    }
    if (style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED) {
      at = valueEnd + 1;
      const quotes = style === SCALAR_STYLE.SINGLE_QUOTED ? 'single-quoted' : 'double-quoted';
      return { kind: 'scalar', style: quotes, start: valueStart - 1, end: at };
    }
    const start = skipGap(text, at);
    at = valueEnd;
    return { kind: 'scalar', style: 'block', start, end: start + writtenLength(text.slice(start, valueEnd)) };
  }

  function readList(event: SequenceEvent): Read {
    const members: YamlMember[] = [];
    const isFlow = openCollection(event);
    const value: Json[] = [];
    while (events[next]?.type !== EVENT_ID.POP) {
      const { start, comma } = startMember(isFlow);
      if (!isFlow) at = start + 1;
      const made = read();
      const indicator = isFlow ? undefined : start;
      members.push({ start, end: made.node.end, indicator, comma, properties: NO_PROPERTIES, value: made.node });
      value.push(made.value);
    }
    const end = closeCollection(isFlow, members);
    return { node: { kind: 'list', isFlow, isEditable: true, start: event.start, end, members }, value };
  }

  function readMap(event: MappingEvent): Read {
    const members: YamlPair[] = [];
    const isFlow = openCollection(event);
    const value: Record<string, Json> = {};
    while (events[next]?.type !== EVENT_ID.POP) {
      const { start, comma } = startMember(isFlow);
      const key = read();
      const name = nameOf(key);
      const colon = skipGap(text, at);
      const indicator = text[colon] === ':' ? colon : undefined;
      if (indicator !== undefined) at = indicator + 1;
      const made = read();
      const { node } = made;
      members.push({ start, end: node.end, indicator, comma, properties: NO_PROPERTIES, key: name, keyStart: start, value: node });
      if (Object.hasOwn(value, name)) throw new Uncommon();
      put(value, name, made.value);
    }
    const end = closeCollection(isFlow, members);
    return { node: { kind: 'map', isFlow, isEditable: true, start: event.start, end, members }, value };
  }

  /** @returns whether it is written in brackets */
  function openCollection({ style, start }: CollectionEvent): boolean {
    at = start;
    if (style === COLLECTION_STYLE.BLOCK) return false;
    const first = events[next];
    // A map without brackets in a list, as in `[a: b]`.
    if (!/[[{]/.test(text[start] ?? '') || (first !== undefined && 'start' in first && first.start === start)) throw new Uncommon();
    at += 1;
    return true;
  }

  /** Goes to the next member of a collection, behind its comma. */
  function startMember(isFlow: boolean): Pick<YamlMember, 'start' | 'comma'> {
    at = skipGap(text, at);
    let comma: number | undefined;
    if (isFlow && text[at] === ',') {
      comma = at;
      at = skipGap(text, at + 1);
    }
    if (text[at] === '?' && /^\s?$/.test(text.slice(at + 1, at + 2))) throw new Uncommon();
    return { start: at, comma };
  }

  /** @returns the end of the collection */
  function closeCollection(isFlow: boolean, members: readonly YamlMember[]): number {
    next += 1;
    if (!isFlow) return members.at(-1)?.end ?? at;
    at = skipGap(text, at);
    if (text[at] === ',') at = skipGap(text, at + 1);
    at += 1;
    return at;
  }
}

/** The key as it is in JSON. */
function nameOf({ node, value }: Read): string {
  const isMerge = node.kind === 'scalar' && node.style === 'plain' && value === '<<';
  if (node.kind !== 'scalar' || value === null || isMerge) throw new Uncommon();
  return String(value);
}
