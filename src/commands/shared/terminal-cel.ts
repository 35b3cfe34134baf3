/**
 * Breaks an expression in CEL into lines that are indented by their depth. Only white space outside of texts changes.
 * @param cel with operators as the rules write them, between spaces
 * @param width of a line, in characters. A text, such as a message, and a path of fields stay in one line
 */
export function printCel(cel: string, width: number): string {
  return lay(parse(cel), { width, head: 0, tail: 0 }).join('\n');
}

/** An expression that may be broken between its parts. */
type Node =
  /** A name, a number, a text or an operator. */
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'bracket'; readonly open: string; readonly close: string; readonly items: readonly Node[] }
  /** A value with its fields, indices and calls. */
  | { readonly kind: 'chain'; readonly parts: readonly Node[] }
  /** Operands with one operator between them, or with several that are not broken: comparisons. */
  | { readonly kind: 'operation'; readonly operator: string; readonly operands: readonly Node[] }
  | { readonly kind: 'choice'; readonly branches: readonly (readonly [condition: Node, value: Node])[]; readonly otherwise: Node };

/** Line breaks and the spaces of the source have no meaning. `?.` and `[?` belong to names: they do not begin a choice. */
const TOKEN = /'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\[\?|\.\??\w+|\w+|\|\||&&|[=!<>]=|[()[\]{},?:+<>!%*/-]/g;
const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '[?': ']', '{': '}' };

/** From the loosest on. */
const OPERATORS: readonly (readonly string[])[] = [['||'], ['&&'], ['==', '!=', '<', '<=', '>', '>=', 'in'], ['+', '-'], ['*', '/', '%']];

function parse(cel: string): Node {
  const tokens = cel.match(TOKEN) ?? [];
  let next = 0;
  const at = (...texts: readonly string[]): boolean => texts.includes(tokens[next] ?? '');
  const read = (): string => tokens[next++] ?? '';

  return parseChoice();

  function parseChoice(): Node {
    const branches: [Node, Node][] = [];
    for (;;) {
      const node = parseOperation(0);
      if (!at('?')) return branches.length === 0 ? node : { kind: 'choice', branches, otherwise: node };
      read();
      branches.push([node, parseChoice()]);
      read();
    }
  }

  function parseOperation(level: number): Node {
    const operators = OPERATORS[level];
    if (operators === undefined) return parseChain();
    const operands = [parseOperation(level + 1)];
    let operator = '';
    while (at(...operators)) {
      // Operators of one level are only mixed where the order from left to right counts.
      if (operator !== '' && !at(operator)) operands.splice(0, operands.length, { kind: 'operation', operator, operands: [...operands] });
      operator = read();
      operands.push(parseOperation(level + 1));
    }
    return operands.length === 1 ? (operands[0] as Node) : { kind: 'operation', operator, operands };
  }

  function parseChain(): Node {
    const parts: Node[] = [];
    for (;;) {
      const isStart = parts.every(isPrefix);
      const token = tokens[next] ?? '';
      if (token in CLOSING) parts.push(parseBracket());
      else if (isStart ? token !== '' : token.startsWith('.')) parts.push({ kind: 'word', text: read() });
      else break;
    }
    return parts.length === 1 ? (parts[0] as Node) : { kind: 'chain', parts };
  }

  function parseBracket(): Node {
    const open = read();
    const close = CLOSING[open] ?? '';
    const items: Node[] = [];
    while (!at(close) && next < tokens.length) {
      const item = parseChoice();
      if (at(':')) {
        read();
        items.push({ kind: 'operation', operator: ':', operands: [item, parseChoice()] });
      } else items.push(item);
      if (at(',')) read();
    }
    read();
    return items.length === 0 ? { kind: 'word', text: open + close } : { kind: 'bracket', open, close, items };
  }
}

function flat(node: Node): string {
  switch (node.kind) {
    case 'word':
      return node.text;
    case 'bracket':
      return `${node.open}${node.items.map(flat).join(', ')}${node.close}`;
    case 'chain':
      return node.parts.map(flat).join('');
    case 'operation':
      return node.operands.map(flat).join(node.operator === ':' ? ': ' : ` ${node.operator} `);
    case 'choice':
      return `${node.branches.map(([condition, value]) => `${flat(condition)} ? ${flat(value)} : `).join('')}${flat(node.otherwise)}`;
  }
}

interface Room {
  readonly width: number;
  /** The characters before the first line, and after the last one. */
  readonly head: number;
  readonly tail: number;
}

const INDENT = '  ';

/** @returns lines; the first one continues a line, if `head` is not 0 */
function lay(node: Node, room: Room): readonly string[] {
  const line = flat(node);
  if (room.head + line.length + room.tail <= room.width) return [line];
  switch (node.kind) {
    case 'word':
      return [line];
    case 'operation':
      return layOperation(node, room);
    case 'choice':
      return layChoice(node, room);
    case 'bracket':
      return layChain([node], room);
    case 'chain':
      return layChain(node.parts, room);
  }
}

/** One operand a line. What cannot be in a line of its own continues the line, and so do the elements behind `in`. */
function layOperation({ operator, operands }: Extract<Node, { kind: 'operation' }>, room: Room): readonly string[] {
  const isComparison = !['||', '&&', '+'].includes(operator);
  const isBroken =
    !isComparison || (![':', 'in'].includes(operator) && operands.every((each) => flat(each).length + room.tail <= room.width));
  const written = operator === ':' ? ': ' : ` ${operator} `;
  const last = operands.length - 1;
  if (!isBroken) return join(operands, room, (index) => (index === last ? '' : written));
  return operands.flatMap((operand, index) => {
    const end = index === last ? '' : written.trimEnd();
    return append(lay(operand, { width: room.width, head: index === 0 ? room.head : 0, tail: end.length || room.tail }), end);
  });
}

/** Conditions one below the other, each with its value behind it or, where that is too long, indented below it. */
function layChoice({ branches, otherwise }: Extract<Node, { kind: 'choice' }>, { width, head, tail }: Room): readonly string[] {
  const lines = branches.flatMap(([condition, value], index) => {
    const line = `${flat(condition)} ? ${flat(value)} :`;
    const before = index === 0 ? head : 0;
    if (before + line.length <= width) return [line];
    return [
      ...append(lay(condition, { width, head: before, tail: 2 }), ' ?'),
      ...append(indent(lay(value, { width: width - INDENT.length, head: 0, tail: 2 })), ' :'),
    ];
  });
  return [...lines, ...lay(otherwise, { width, head: 0, tail })];
}

/** Shorter calls do not begin a line. */
const SHORT_CALL = 16;

function layChain(given: readonly Node[], room: Room): readonly string[] {
  const parts = given.map((part, index): Node => (isWhole(part, given[index - 1]) ? { kind: 'word', text: flat(part) } : part));
  const starts = parts.flatMap((part, index) => {
    const call = parts[index + 1];
    const isCall = index > 0 && part.kind === 'word' && part.text.startsWith('.') && call?.kind === 'bracket' && call.open === '(';
    return isCall && flat(part).length + flat(call).length > SHORT_CALL ? [index] : [];
  });
  const [first] = starts;
  if (first === undefined || starts.length < 2) return join(parts, room);
  const inner = { width: room.width - INDENT.length, head: 0 };
  const calls = starts.flatMap((start, index) => {
    const call = parts.slice(start, starts[index + 1]);
    return indent(join(call, { ...inner, tail: index === starts.length - 1 ? room.tail : 0 }));
  });
  return [...join(parts.slice(0, first), { ...room, tail: 0 }), ...calls];
}

/** The bracket of a macro, and its variable. */
const OPENING = '(v,'.length;

/** Nodes one behind the other. A bracket that does not fit into its line is broken, and so is the longest one. */
function join(nodes: readonly Node[], { width, head, tail }: Room, between: (index: number) => string = () => ''): readonly string[] {
  const texts = nodes.map((node, index) => flat(node) + between(index));
  const longest = Math.max(...nodes.map(({ kind }, index) => (kind === 'word' ? 0 : (texts[index]?.length ?? 0))));
  let lines: readonly string[] = [''];
  for (const [index, node] of nodes.entries()) {
    const [before, last] = [lines.slice(0, -1), lines.at(-1) ?? ''];
    const at = (before.length === 0 ? head : 0) + last.length;
    const rest = texts.slice(index).join('').length + tail;
    const next = nodes.findIndex(({ kind }, other) => other > index && kind !== 'word');
    const beside = next === -1 ? rest : texts.slice(index, next).join('').length + OPENING;
    const isBroken = at + rest > width && (texts[index]?.length === longest || at + beside > width);
    const room = { width, head: at, tail: between(index).length + (index === nodes.length - 1 ? tail : 0) };
    const [start = '', ...others] = isBroken ? (node.kind === 'bracket' ? layBracket(node, room) : lay(node, room)) : [flat(node)];
    lines = append([...before, last + start, ...others], between(index));
  }
  return lines;
}

/** Keys, and short arguments, gain nothing in a line of their own. */
function isWhole(part: Node, before: Node | undefined): boolean {
  if (part.kind !== 'bracket' || before === undefined || isPrefix(before) || part.items.some(({ kind }) => kind !== 'word')) return false;
  return part.open !== '(' || flat(part).length <= SHORT_CALL;
}

const isPrefix = (node: Node): boolean => node.kind === 'word' && ['!', '-'].includes(node.text);

/** The variables of a macro stay behind its bracket. */
function layBracket({ open, close, items }: Extract<Node, { kind: 'bracket' }>, { width }: Room): readonly string[] {
  const isList = items.every(({ kind }) => kind === 'word');
  const names =
    open === '(' && !isList
      ? items.slice(
          0,
          items.findIndex(({ kind }) => kind !== 'word'),
        )
      : [];
  const inside = items.slice(names.length);
  const inner = width - INDENT.length;
  const laid = isList
    ? fill(items.map(flat), inner)
    : inside.flatMap((item, index) => {
        const end = index === inside.length - 1 ? '' : ',';
        return append(lay(item, { width: inner, head: 0, tail: end.length }), end);
      });
  return [open + names.map((name) => `${flat(name)},`).join(' '), ...indent(laid), close];
}

/** As many words in a line as it has room for. */
function fill(words: readonly string[], width: number): readonly string[] {
  const lines: string[] = [];
  for (const [index, word] of words.entries()) {
    const text = index === words.length - 1 ? word : `${word},`;
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + text.length > width) lines.push(text);
    else lines[lines.length - 1] = `${last} ${text}`;
  }
  return lines;
}

const indent = (lines: readonly string[]): readonly string[] => lines.map((line) => INDENT + line);

const append = (lines: readonly string[], end: string): readonly string[] => [...lines.slice(0, -1), (lines.at(-1) ?? '') + end];
