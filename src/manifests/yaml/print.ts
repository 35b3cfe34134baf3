import { Document, Scalar, type ToStringOptions, visit } from 'yaml';
import type { Json } from '../../core/json.ts';
import { SCHEMA } from './schema.ts';

/** Text that `parseStream` reads as this value, without a line break at its end. */
export function printYaml(
  value: Json,
  options: Pick<ToStringOptions, 'indent' | 'indentSeq' | 'collectionStyle' | 'flowCollectionPadding'>,
): string {
  const document = new Document(value, { ...SCHEMA, aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_, node) {
      // A string with line breaks stays on one line: by default the printer writes it on several lines.
      if (typeof node.value === 'string' && node.value.includes('\n')) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return document.toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.POSITIVE_INFINITY, ...options }).replace(/\n$/, '');
}
