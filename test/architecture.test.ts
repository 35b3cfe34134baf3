import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

/**
 * The folders of `src`, and the folders that each may import. Commands combine the others; the core imports nothing but itself. A file directly in
 * `src` counts as a folder.
 */
const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  main: ['commands', 'did-you-mean'],
  commands: [
    'doctor',
    'doctor-facts',
    'ensure',
    'in-tree',
    'judging',
    'webhook',
    'webhook-worker',
    'tls',
    'manifests',
    'cluster',
    'report',
    'live',
    'scan',
    'telemetry',
    'config',
    'apply-patch',
    'did-you-mean',
    'io-errors',
    'make-folder',
    'address',
    'core',
  ],
  judging: ['manifests', 'report', 'config', 'apply-patch', 'did-you-mean', 'core'],
  doctor: ['live', 'manifests', 'did-you-mean', 'core'],
  'doctor-facts': ['doctor', 'ensure', 'in-tree', 'cluster', 'tls', 'manifests', 'live', 'core'],
  ensure: ['cluster', 'tls', 'manifests', 'core'],
  'in-tree': ['manifests', 'core'],
  webhook: ['core'],
  'webhook-worker': ['webhook', 'config', 'apply-patch', 'core'],
  tls: ['io-errors', 'core'],
  manifests: ['io-errors', 'core'],
  cluster: ['io-errors', 'address', 'core'],
  scan: ['cluster', 'live', 'report', 'core'],
  live: ['core'],
  report: ['live', 'doctor', 'core'],
  telemetry: ['core'],
  config: ['core', 'did-you-mean', 'io-errors'],
  'apply-patch': ['core'],
  'did-you-mean': [],
  'io-errors': [],
  'make-folder': [],
  address: [],
  core: [],
};

/** Packages that are imported in one place only. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  'node-forge': ['tls/der.ts'],
  'fast-json-patch': ['apply-patch.ts'],
  '@kubernetes/client-node': ['cluster/'],
};

const src = join(import.meta.dirname, '../src');
const files = globSync('**/*.ts', { cwd: src }).toSorted();
const imports = new Map(files.map((file) => [file, importsOf(readFileSync(join(src, file), 'utf8'))]));

/** Without the imports that only bring types. */
const valueImports = new Map(files.map((file) => [file, importsOf(withoutTypeImports(readFileSync(join(src, file), 'utf8')))]));

const isRelative = (name: string): boolean => name.startsWith('.');
const targetOf = (file: string, name: string): string => relative(src, join(src, dirname(file), name));
const folderOf = (file: string): string => (file.includes('/') ? (file.split('/')[0] ?? '') : file.replace(/\.ts$/, ''));
const filesIn = (folder: string): string[] => files.filter((file) => folderOf(file) === folder);

test('every file belongs to a listed folder', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(files.filter((file) => !(folderOf(file) in IMPORTS))).toEqual([]);
});

test('a folder imports only the folders that are listed for it', () => {
  const others = [...imports].flatMap(([file, names]) =>
    names
      .filter((name) => isRelative(name) && !name.endsWith('.json'))
      .map((name) => targetOf(file, name))
      .filter((target) => folderOf(target) !== folderOf(file) && !IMPORTS[folderOf(file)]?.includes(folderOf(target)))
      .map((target) => `${file} -> ${target}`),
  );
  expect(others).toEqual([]);
});

test('reviews are answered without HTTP: webhook/review imports nothing of webhook/http', () => {
  const reviews = files.filter((file) => file.startsWith('webhook/review/'));
  expect(reviews.length).toBeGreaterThan(5);
  expect(reachable(reviews, isRelative).filter((file) => file.startsWith('webhook/http/'))).toEqual([]);
});

test('no file imports itself through others', () => {
  const circular = files.filter((file) => importsOfFile(file).some((target) => reachable([target], isRelative).includes(file)));
  expect(circular).toEqual([]);
});

test('every import names an existing file, with its extension', () => {
  const broken = [...imports].flatMap(([file, names]) =>
    names
      .filter(isRelative)
      .filter((name) => !files.includes(targetOf(file, name)) && !name.endsWith('.json'))
      .map((name) => `${file} -> ${name}`),
  );
  expect(broken).toEqual([]);
});

test('modules of Node are imported with the prefix node:', () => {
  const bare = [...imports].flatMap(([file, names]) =>
    names.filter((name) => builtinModules.includes(name)).map((name) => `${file} -> ${name}`),
  );
  expect(bare).toEqual([]);
});

describe.each(['core', 'live', 'doctor', 'in-tree'])('the folder %s', (pure) => {
  test('imports no package and no module of Node', () => {
    expect(filesIn(pure).length).toBeGreaterThan(2);
    expect(
      filesIn(pure).flatMap((file) => (imports.get(file) ?? []).filter((name) => !isRelative(name)).map((name) => `${file} -> ${name}`)),
    ).toEqual([]);
  });

  test.each([
    ['the clock', /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\s*\)|\bperformance\b|\bTemporal\.Now\b/],
    ['other globals of Node', /\b(?:Buffer|__dirname|__filename)\b|\brequire\(/],
    ['the process', /\bprocess\.|\bglobalThis\b|\bimport\.meta\b/],
    ['the console', /\bconsole\./],
    ['timers', /\b(setTimeout|setInterval|setImmediate|queueMicrotask)\b/],
    ['random numbers', /\bMath\.random\b|\bcrypto\b/],
    ['the network', /\bfetch\s*\(/],
  ])('does not use %s', (_, pattern) => {
    expect(filesIn(pure).filter((file) => pattern.test(codeOf(file)))).toEqual([]);
  });

  test('has no variable and no empty map that outlives a call', () => {
    const state = /^(?:export )?(?:let\b|(?:const|var) .*(?:= new (?:Weak)?Map(?:<.*>)?\(\)|Object\.create\(null\)))/m;
    expect(filesIn(pure).filter((file) => state.test(codeOf(file)))).toEqual([]);
  });
});

describe('the core', () => {
  test('imports in the core have one direction: judging imports rules, rules import pods, and never the reverse', () => {
    const below = (file: string): string[] => reachable([file], (name) => isRelative(name));
    for (const file of [
      'json.ts',
      'path.ts',
      'result.ts',
      'labels.ts',
      'shape.ts',
      'pod.ts',
      'requirements.ts',
      'wall.ts',
      'exemptions.ts',
      'pointer.ts',
      'patch.ts',
    ]) {
      const found = below(`core/${file}`);
      expect(
        found.filter((each) => /core\/(judge|inspect|repair|policy|profiles\/|rules\/index)/.test(each)),
        file,
      ).toEqual([]);
    }
    for (const rule of filesIn('core').filter((file) => file.startsWith('core/rules/') && !file.endsWith('/index.ts'))) {
      expect(
        below(rule).filter((each) => /core\/(judge|inspect|repair|policy|patch|pointer|profiles\/|rules\/index)/.test(each)),
        rule,
      ).toEqual([]);
    }
    expect(below('core/judge.ts')).not.toContain('core/repair.ts');
  });

  test('no rule imports a rule: shared code is outside the folder of the rules', () => {
    const ruleFiles = filesIn('core').filter((file) => /^core\/rules\/(?!index\.|rule\.)/.test(file));
    expect(ruleFiles.length).toBeGreaterThan(30);
    const imported = ruleFiles.flatMap((file) =>
      (imports.get(file) ?? [])
        .map((name) => targetOf(file, name))
        .filter((target) => target.startsWith('core/rules/') && target !== 'core/rules/rule.ts')
        .map((target) => `${file} -> ${target}`),
    );
    expect(imported).toEqual([]);
  });
});

// So that this code also runs in a browser.
test('reading a configuration, and judging, fixing and reporting a text, reach no module of Node and none of its globals', () => {
  const reached = reachable(
    [...filesIn('judging'), 'config/parse.ts', 'report/json.ts'],
    isRelative,
    (file) => valueImports.get(file) ?? [],
  );
  expect(reached).toEqual(expect.arrayContaining(['core/judge.ts', 'core/repair.ts', 'manifests/read.ts', 'config/profiles.ts']));
  expect(reached.filter((file) => valueImports.get(file)?.some((name) => name.startsWith('node:')))).toEqual([]);
  expect(reached.filter((file) => /\b(?:Buffer|process|require|__dirname|__filename)\b[.(]/.test(codeOf(file)))).toEqual([]);
});

test.each(Object.entries(HOMES))('%s is imported in one place', (name, homes) => {
  const users = files.filter((file) => imports.get(file)?.some((each) => each === name || each.startsWith(`${name}/`)));
  expect(users.filter((file) => !homes.some((home) => file === home || (home.endsWith('/') && file.startsWith(home))))).toEqual([]);
});

test('T05, T72, F1: the serving process imports no client of a Kubernetes API', () => {
  expect(files).toContain('commands/serve.ts');
  const reached = reachable(['commands/serve.ts'], isRelative);
  expect(reached.filter((file) => folderOf(file) === 'cluster')).toEqual([]);
  expect(reached.filter((file) => imports.get(file)?.some((name) => name.startsWith('@kubernetes/')))).toEqual([]);
});

test('F20, T60: the serving process resolves no name, opens no connection, starts no program and writes no file', () => {
  const reached = reachable(['commands/serve.ts'], isRelative);
  expect(reached).toContain('webhook/http/server.ts');
  const outward = /^(?:node:)?(?:dns(?:\/promises)?|child_process|vm|undici|axios|got|node-fetch)$/;
  expect(reached.flatMap((file) => (imports.get(file) ?? []).filter((name) => outward.test(name)))).toEqual([]);
  const asks = /\b(?:fetch|request|connect|createConnection|writeFile|appendFile|createWriteStream|eval)\(|\bnew Function\(/;
  expect(reached.filter((file) => asks.test(codeOf(file)))).toEqual([]);
});

// `mkdir` with `recursive` never returns in /proc: `makeFolder` says why.
test('folders above a folder are created only by makeFolder', () => {
  const root = join(src, '..');
  const programs = globSync('{src,tools,bench}/**/*.ts', { cwd: root });
  expect(programs.length).toBeGreaterThan(200);
  expect(programs.filter((file) => /\bmkdir(?:Sync)?\([^;]*\brecursive: true/.test(readFileSync(join(root, file), 'utf8')))).toEqual([]);
});

test('no file has a default export', () => {
  expect(files.filter((file) => /^export default\b/m.test(codeOf(file)))).toEqual([]);
});

test('file names are in kebab case', () => {
  expect(files.filter((file) => !/^([a-z0-9-]+\/)*[a-z0-9-]+\.ts$/.test(file))).toEqual([]);
});

test('importsOf finds every form of import', () => {
  const text = `import a from 'a';\nimport type { B } from './b.ts';\nimport './c.ts';\nexport { d } from "./d.ts";\nexport * from './e.ts';
import {\n  f,\n  type G,\n} from './f.ts';\nconst h = await import('./h.ts');\n// import i from './i.ts';\n/* import './j.ts' */\nconst k = "import x from 'k'";`;
  expect(importsOf(text)).toEqual(['a', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts', './h.ts']);
});

function importsOfFile(file: string): string[] {
  return (imports.get(file) ?? []).filter(isRelative).map((name) => targetOf(file, name));
}

/** The files and everything that they import, directly or through others. */
function reachable(
  from: readonly string[],
  follow: (name: string) => boolean,
  importedBy = (file: string): readonly string[] => imports.get(file) ?? [],
): string[] {
  const found = new Set<string>(from);
  for (const file of found) {
    for (const name of importedBy(file)) if (follow(name)) found.add(targetOf(file, name));
  }
  return [...found];
}

function withoutTypeImports(text: string): string {
  return text.replace(/^(?:import|export) type [^;]*;/gm, '');
}

function importsOf(text: string): string[] {
  const statements =
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
  return [...withoutComments(text).matchAll(statements)].map(([, from, bare, late]) => from ?? bare ?? late ?? '');
}

function codeOf(file: string): string {
  return withoutComments(readFileSync(join(src, file), 'utf8'));
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}
