import { readFileSync } from 'node:fs';
import { type DefaultTreeAdapterTypes, parse } from 'parse5';

type Node = DefaultTreeAdapterTypes.Node;
export type Element = DefaultTreeAdapterTypes.Element;

export const readHtml = (file: string): Node => parse(readFileSync(file, 'utf8'));

/** The elements below a node, in the order of the document. */
export function elementsIn(node: Node): Element[] {
  const children = 'childNodes' in node ? node.childNodes : [];
  const inside = children.flatMap(elementsIn);
  return 'tagName' in node ? [node, ...inside] : inside;
}

export const attributeOf = ({ attrs }: Element, name: string): string | undefined => attrs.find((each) => each.name === name)?.value;

export const hasClass = (element: Element, name: string): boolean => (attributeOf(element, 'class') ?? '').split(/\s+/).includes(name);

/** The text of a node, without the elements that are left out. */
export function textOf(node: Node, isLeftOut: (element: Element) => boolean = () => false): string {
  if ('value' in node) return node.value;
  if ('tagName' in node && isLeftOut(node)) return '';
  return 'childNodes' in node ? node.childNodes.map((each) => textOf(each, isLeftOut)).join('') : '';
}
