/**
 * A JSON Patch applier written from RFC 6902 and RFC 6901 alone: a second implementation, which checks patches. It shares nothing with the source and
 * nothing with fast-json-patch, copies what it changes, and throws where the RFC says that applying fails.
 */
export function applyPatch(document: unknown, operations: readonly unknown[]): unknown {
  return operations.reduce((value, operation) => applyOperation(value, operation as Operation), structuredClone(document));
}

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

function applyOperation(document: unknown, operation: Operation): unknown {
  const { op, path, from } = operation;
  if (typeof path !== 'string') throw new Error('an operation must have a path');
  switch (op) {
    case 'add':
      return add(document, path, givenBy(operation));
    case 'remove':
      return remove(document, path);
    case 'replace':
      get(document, path);
      return path === '' ? givenBy(operation) : replaceAt(document, path, givenBy(operation));
    case 'move': {
      if (path.startsWith(`${from}/`)) throw new Error('a value cannot be moved into itself');
      const moved = get(document, from ?? '');
      return add(remove(document, from ?? ''), path, moved);
    }
    case 'copy':
      return add(document, path, structuredClone(get(document, from ?? '')));
    case 'test':
      if (!isEqual(get(document, path), givenBy(operation))) throw new Error(`${path} is not as tested`);
      return document;
    default:
      throw new Error(`operation ${op} is unknown`);
  }
}

function givenBy(operation: Operation): unknown {
  if (!Object.hasOwn(operation, 'value')) throw new Error(`${operation.op} must have a value`);
  return structuredClone(operation.value);
}

function add(document: unknown, path: string, value: unknown): unknown {
  const { parent, last } = parentOf(document, path);
  if (parent === undefined) return value;
  if (!Array.isArray(parent)) return define(parent, last, value, document);
  const index = last === '-' ? parent.length : indexOf(last);
  if (index > parent.length) throw new Error(`${path} is beyond the end of its list`);
  parent.splice(index, 0, value);
  return document;
}

function remove(document: unknown, path: string): unknown {
  get(document, path);
  const { parent, last } = parentOf(document, path);
  if (parent === undefined) return undefined;
  if (Array.isArray(parent)) parent.splice(indexOf(last), 1);
  else delete parent[last];
  return document;
}

function replaceAt(document: unknown, path: string, value: unknown): unknown {
  const { parent, last } = parentOf(document, path);
  if (parent === undefined) return value;
  if (Array.isArray(parent)) parent[indexOf(last)] = value;
  else define(parent, last, value, document);
  return document;
}

/** The name `__proto__` is data here. */
function define(parent: object, key: string, value: unknown, document: unknown): unknown {
  Object.defineProperty(parent, key, { value, writable: true, enumerable: true, configurable: true });
  return document;
}

function get(document: unknown, pointer: string): unknown {
  let value = document;
  for (const token of tokensOf(pointer)) value = member(value, token, pointer);
  return value;
}

function member(value: unknown, token: string, pointer: string): unknown {
  if (typeof value !== 'object' || value === null) throw new Error(`${pointer} leads through a value without members`);
  const key = Array.isArray(value) ? indexOf(token) : token;
  if (!Object.hasOwn(value, key)) throw new Error(`${pointer} is not there`);
  return (value as Record<string | number, unknown>)[key];
}

function parentOf(document: unknown, pointer: string): { readonly parent?: Record<string, unknown> | unknown[]; readonly last: string } {
  const tokens = tokensOf(pointer);
  const last = tokens.pop();
  if (last === undefined) return { last: '' };
  let parent = document;
  for (const token of tokens) parent = member(parent, token, pointer);
  if (typeof parent !== 'object' || parent === null) throw new Error(`${pointer} leads into a value without members`);
  return { parent: parent as Record<string, unknown> | unknown[], last };
}

function tokensOf(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) throw new Error(`${pointer} is no JSON pointer`);
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function indexOf(token: string): number {
  if (!/^(0|[1-9][0-9]*)$/.test(token)) throw new Error(`${token} is no index`);
  return Number(token);
}

function isEqual(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b) || Object.keys(a).length !== Object.keys(b).length) return false;
  return Object.entries(a).every(([key, value]) => Object.hasOwn(b, key) && isEqual(value, (b as Record<string, unknown>)[key]));
}
