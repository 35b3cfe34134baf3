import type { Json } from '../../core/json.ts';
import { printYaml } from '../yaml/print.ts';
import type { YamlNode } from '../yaml/tree.ts';
import type { EditContext } from './context.ts';

/** @param column of the collection that the value is written into */
export function printBlock({ lineBreak, indent, indentSeq }: EditContext, value: Json, column: number): string {
  return printYaml(value, { indent, indentSeq }).replaceAll('\n', lineBreak + ' '.repeat(column));
}

interface FlowStyle {
  /** The white space before each line but the first. */
  readonly lead?: string;
  /** Whether JSON is printed over several lines, as the JSON around it is. */
  readonly isMultiline?: boolean;
}

export function printFlow(
  { isJson, text, lineBreak }: EditContext,
  value: Json,
  { lead = '', isMultiline = false }: FlowStyle = {},
): string {
  // Printed as a list item: plain text outside a list may contain characters that end an item.
  if (!isJson) return printYaml([value], { collectionStyle: 'flow', flowCollectionPadding: false }).slice(1, -1);
  if (!isMultiline) return JSON.stringify(value);
  return JSON.stringify(value, null, unitOf(text)).replaceAll('\n', lineBreak + lead);
}

/** The white space of one level of indentation in a JSON text. */
export function unitOf(text: string): string {
  return /\n([ \t]+)/.exec(text)?.[1] ?? '  ';
}

/** @param old the scalar or alias to replace, whose quotes are kept where possible */
export function printScalar(
  context: EditContext,
  value: Json,
  { old, isInFlow }: { readonly old: YamlNode; readonly isInFlow: boolean },
): string {
  const style = old.kind === 'scalar' ? old.style : 'plain';
  if (typeof value === 'string' && style === 'double-quoted') return JSON.stringify(value);
  if (typeof value === 'string' && style === 'single-quoted' && /^[ -~]*$/.test(value)) return `'${value.replaceAll("'", "''")}'`;
  return isInFlow ? printFlow(context, value) : printYaml(value, {});
}
