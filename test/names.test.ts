import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** A type name means one thing in `src`, and what it means everywhere else is left to the language and to Node. */

const root = join(import.meta.dirname, '..');
const filesByName = new Map<string, string[]>();
const ownTypes = new Map<string, string[]>();
for (const file of globSync('src/**/*.ts', { cwd: root }).toSorted()) {
  for (const { name, isExported } of typesOf(readFileSync(join(root, file), 'utf8'))) {
    append(ownTypes, name, file);
    if (isExported) append(filesByName, name, file);
  }
}

test('no two files of src export a type of the same name', () => {
  expect(filesByName.size).toBeGreaterThan(100);
  const twice = [...filesByName].filter(([, files]) => files.length > 1).map(([name, files]) => `${name}: ${files.join(', ')}`);
  expect(
    twice,
    'name each type after what it belongs to (WorkerRequest, JudgeInput), or import the one from the file of the other',
  ).toEqual([]);
});

test('no type of src hides a global of JavaScript, TypeScript or Node', () => {
  const globals = globalNames();
  const hiding = [...ownTypes].filter(([name]) => globals.has(name)).map(([name, files]) => `${name}: ${files.join(', ')}`);
  expect(hiding, 'put the owner in front of the name (RequestRecord, ReviewResponse)').toEqual([]);
});

test('the test of names knows the globals, and reads declarations of every kind', () => {
  const globals = globalNames();
  for (const name of ['Record', 'Partial', 'Map', 'Promise', 'Response', 'Request', 'Event', 'Buffer', 'NodeJS', 'URL']) {
    expect(globals, name).toContain(name);
  }
  const text = `export interface A {}\nexport type B<T> = T;\nexport class C {}\nexport abstract class D {}\nexport enum E {}\ninterface F {}
// export interface G {}\nexport type { H } from './h.ts';\nexport const I = 1;`;
  const types = typesOf(text).map(({ name, isExported }) => (isExported ? `export ${name}` : name));
  expect(types).toEqual(['export A', 'export B', 'export C', 'export D', 'export E', 'F']);
});

function typesOf(text: string): { readonly name: string; readonly isExported: boolean }[] {
  return [...text.matchAll(/^(?<mark>export )?(?:abstract )?(?:interface|type|class|enum) (?<name>\w+)/gm)].map(({ groups }) => ({
    name: groups?.name ?? '',
    isExported: groups?.mark !== undefined,
  }));
}

/** Names of the standard library's declarations, of `@types/node`'s global ones, and of what the running Node has. */
function globalNames(): Set<string> {
  const names = new Set(Object.getOwnPropertyNames(globalThis));
  const libraries = globSync('node_modules/@typescript/typescript-*/lib/lib.{es,decorators}*.d.ts', { cwd: root });
  const node = globSync('node_modules/@types/node/{globals,web-globals/*}.d.ts', { cwd: root });
  for (const file of [...libraries, ...node]) {
    // Files of the web's globals declare them inside of `declare global`.
    const start = file.includes('web-globals') ? '^ {4}' : '^(?:declare )?';
    const declarations = new RegExp(`${start}(?:interface|type|class|var|namespace) (\\w+)`, 'gm');
    for (const [, name = ''] of readFileSync(join(root, file), 'utf8').matchAll(declarations)) names.add(name);
  }
  return names;
}

function append(map: Map<string, string[]>, key: string, value: string): void {
  map.set(key, [...(map.get(key) ?? []), value]);
}
