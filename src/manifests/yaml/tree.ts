import type { Json } from '../../core/json.ts';

/** A range of the text of a document: the offset of the first character, and the one behind the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A value in the text, without its anchor, its tag and the comment after it. Both ends of one that is not written are equal. */
export type YamlNode = YamlScalar | YamlAlias | YamlCollection;
export type YamlCollection = YamlMap | YamlList;

export interface YamlScalar extends Span {
  readonly kind: 'scalar';
  readonly style: 'plain' | 'single-quoted' | 'double-quoted' | 'block';
}

export interface YamlAlias extends Span {
  readonly kind: 'alias';
}

interface Collection extends Span {
  /** Whether it is written in brackets. */
  readonly isFlow: boolean;
  /** Whether each member has a range of its own, and no key is written with `?`. */
  readonly isEditable: boolean;
}

export interface YamlMap extends Collection {
  readonly kind: 'map';
  readonly members: readonly YamlPair[];
}

export interface YamlList extends Collection {
  readonly kind: 'list';
  readonly members: readonly YamlMember[];
}

/** A pair or an item, from its first character to its last, without the comment after it. */
export interface YamlMember extends Span {
  /** Offset of the `:` of a pair or the `-` of an item; undefined: the text has none. */
  readonly indicator: number | undefined;
  /** Offset of the comma in front of the member, in a flow collection. */
  readonly comma: number | undefined;
  /** Anchors and tags of the key and of the value, in their order. */
  readonly properties: readonly Span[];
  readonly value: YamlNode;
}

export interface YamlPair extends YamlMember {
  /** The key as it is in JSON. */
  readonly key: string;
  readonly keyStart: number;
}

/** Where the values of a document are written. */
export interface YamlTree {
  /** null: the document is empty. */
  readonly root: YamlNode | null;
  readonly aliases: readonly AliasUse[];
  readonly merges: ReadonlyMap<YamlMap, Merge>;
}

/** A document that was read: its tree and its value. */
export interface ReadDocument extends YamlTree {
  readonly value: Json;
}

/** Where a value is: a member of a collection, which itself is at a location; undefined: the root of its document. */
export type NodeLocation = { readonly collection: YamlCollection; readonly index: number; readonly parent: NodeLocation } | undefined;

export interface AliasUse {
  readonly alias: YamlAlias;
  readonly target: YamlNode;
  readonly value: Json;
  readonly location: NodeLocation;
  /** The map that merges the alias (`<<: *alias`); absent: the alias is a value. */
  readonly mergedBy?: YamlMap;
}

/** The pairs that `<<` merges into a map. */
export interface Merge {
  /** Index of the pair `<<`. */
  readonly index: number;
  readonly entries: { readonly [key: string]: Json };
  /** Keys that the map overrides: removing such a key from the map would uncover the merged value. */
  readonly overridden: ReadonlySet<string>;
}

/** A problem at an offset of a text. */
export interface YamlProblem {
  readonly offset: number;
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

/** Whether the text has nothing for the value. */
export const isBlank = ({ start, end }: YamlNode): boolean => start === end;

/** Sets a key, even if it is `__proto__`. */
export function put(object: Record<string, Json>, key: string, value: Json): void {
  if (key !== '__proto__') object[key] = value;
  else Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}
