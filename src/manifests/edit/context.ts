import { isJson } from '../pieces.ts';
import type { YamlNode, YamlTree } from '../yaml/tree.ts';
import { columnOf } from './text.ts';

/** The tree of a document with its text, and the style that the text is written in. */
export interface EditContext {
  readonly text: string;
  readonly tree: YamlTree;
  readonly lineBreak: string;
  /** Number of spaces that indent a map below its key. */
  readonly indent: number;
  /** Whether a list is indented below its key. */
  readonly indentSeq: boolean;
  readonly isJson: boolean;
}

export function contextOf(text: string, tree: YamlTree): EditContext {
  const { root } = tree;
  const style: Indentation = { map: undefined, list: undefined };
  if (root !== null) readIndentation(text, root, style);
  const written = root === null ? '' : text.slice(root.start, root.end);
  return {
    text,
    tree,
    lineBreak: text.includes('\r\n') ? '\r\n' : '\n',
    indent: style.map ?? 2,
    indentSeq: style.list ?? false,
    isJson: /^[[{]/.test(written) && isJson(written),
  };
}

interface Indentation {
  map: number | undefined;
  list: boolean | undefined;
}

/** Reads how the first map and the first list below keys are indented. */
function readIndentation(text: string, node: YamlNode, style: Indentation): void {
  if (node.kind !== 'map' && node.kind !== 'list') return;
  for (const member of node.members) {
    if (style.map !== undefined && style.list !== undefined) return;
    const { value } = member;
    if ('keyStart' in member && (value.kind === 'map' || value.kind === 'list') && !value.isFlow) {
      const deeper = columnOf(text, value.start) - columnOf(text, member.keyStart);
      if (value.kind === 'map' && deeper > 0) style.map ??= deeper;
      if (value.kind === 'list') style.list ??= deeper > 0;
    }
    readIndentation(text, value, style);
  }
}
