import { type CST, visit } from 'yaml';
import { isJson } from '../pieces.ts';
import type { YamlDocument } from '../yaml.ts';
import { columnOf } from './text.ts';

/** A document with its text, and the style that the text is written in. */
export interface EditContext {
  readonly text: string;
  readonly document: YamlDocument;
  readonly lineBreak: string;
  /** Number of spaces that indent a map below its key. */
  readonly indent: number;
  /** Whether a list is indented below its key. */
  readonly indentSeq: boolean;
  readonly isJson: boolean;
}

export function contextOf(text: string, document: YamlDocument): EditContext {
  let indent: number | undefined;
  let indentSeq: boolean | undefined;
  visit(document.root, {
    Pair(_, { srcToken }) {
      const { key, value } = (srcToken ?? {}) as CST.CollectionItem;
      if (key == null || value === undefined) return;
      const deeper = (offset: number): number => columnOf(text, offset) - columnOf(text, key.offset);
      if (value.type === 'block-map' && deeper(value.offset) > 0) indent ??= deeper(value.offset);
      if (value.type === 'block-seq') indentSeq ??= deeper(value.offset) > 0;
    },
  });
  const root = document.root === null ? '' : text.slice(document.root.range[0], document.root.range[1]);
  const isJsonText = /^[[{]/.test(root) && isJson(root);
  return {
    text,
    document,
    lineBreak: text.includes('\r\n') ? '\r\n' : '\n',
    indent: indent ?? 2,
    indentSeq: indentSeq ?? false,
    isJson: isJsonText,
  };
}
