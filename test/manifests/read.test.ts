import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { filesOf, readSource, readStreams } from '../../src/manifests/files.ts';
import { parseIgnorePattern } from '../../src/manifests/ignore.ts';
import { printInputProblem } from '../../src/manifests/problem.ts';
import { type FileContent, readText, type Source } from '../../src/manifests/read.ts';

const POD = 'apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: []}\n';
const pod = (name: string): string => POD.replace('NAME', name);
const noInput = Readable.from([]);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-read-'));
  await mkdir(join(folder, 'm/deep/.hidden'), { recursive: true });
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'm/b.yml'), pod('b'));
  await writeFile(join(folder, 'm/a.yaml'), pod('a'));
  await writeFile(join(folder, 'm/deep/c.json'), JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'c' }, spec: {} }));
  await writeFile(join(folder, 'm/deep/.hidden/d.yaml'), pod('d'));
  await writeFile(join(folder, 'm/notes.txt'), 'no manifest');
  await writeFile(join(folder, 'latin1.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xe9]));
  await symlink(join(folder, 'm/a.yaml'), join(folder, 'm/e.yaml'));
});
afterAll(() => rm(folder, { recursive: true }));

async function contentsOf(names: readonly string[], stdin = noInput): Promise<{ contents: FileContent[]; problems: string[] }> {
  const { files, problems } = filesOf(names, []);
  const streams = await readStreams(files, stdin);
  const contents: FileContent[] = [];
  for (const file of files) contents.push(readSource(file, streams.get(file)));
  const found = [...problems, ...contents.flatMap((content) => ('problems' in content ? content.problems : []))];
  return { contents, problems: found.map((each) => printInputProblem(each).replaceAll(`${folder}/`, '')) };
}

async function namesIn(names: readonly string[], stdin = noInput): Promise<string[]> {
  const { contents, problems } = await contentsOf(names, stdin);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const sources = contents.flatMap((content) => ('source' in content ? [content.source] : []));
  return sources.flatMap(({ documents }) => documents.flatMap(({ pods }) => pods.map(({ subject }) => subject.name)));
}

const problemsOf = async (...names: string[]): Promise<string[]> => (await contentsOf(names)).problems;

function sourceOf(text: string): Source {
  const read = readText('x.yaml', text);
  if (!('source' in read)) throw new Error(JSON.stringify(read));
  return read.source;
}

function problemsIn(text: string): string[] {
  const read = readText('x.yaml', text);
  return 'problems' in read ? read.problems.map(printInputProblem) : [];
}

function skippedIn(text: string): string | undefined {
  const read = readText('x.yaml', text);
  return 'problems' in read || read.skipped === undefined ? undefined : printInputProblem(read.skipped);
}

describe('input', () => {
  test('a folder is read recursively, in the order of names, without hidden files', async () => {
    expect(await namesIn([join(folder, 'm')])).toEqual(['a', 'b', 'c']);
  });
  test('`-` is standard input', async () => {
    expect(await namesIn(['-'], Readable.from([Buffer.from(pod('x')), Buffer.from(`---\n${pod('z')}`)]))).toEqual(['x', 'z']);
  });
  test('a file with several names is read once', async () => {
    expect(await namesIn(['m/a.yaml', 'm/../m/a.yaml', 'm/e.yaml', 'm'].map((name) => `${folder}/${name}`))).toEqual(['a', 'b', 'c']);
  });
  test('an ignored link does not hide the file that it names', async () => {
    const at = join(folder, 'ignored-link');
    await mkdir(at);
    await writeFile(join(at, 'z.yaml'), 'a: 1\n');
    await symlink('z.yaml', join(at, 'a.yaml'));
    expect(filesOf([at], [parseIgnorePattern('a.*')])).toMatchObject({ files: [join(at, 'z.yaml')], ignored: 1 });
  });

  test('files that a pattern ignores are counted and not read', async () => {
    const { files, ignored } = filesOf([join(folder, 'm')], [parseIgnorePattern('deep/'), parseIgnorePattern('b.*')]);
    expect([files, ignored]).toEqual([[join(folder, 'm/a.yaml')], 2]);
  });
  test('broken and circular links are reported with their names, and linked folders are skipped', async () => {
    await mkdir(join(folder, 'linked'));
    for (const [name, target] of Object.entries({ 'a.yaml': 'b.yaml', 'b.yaml': 'a.yaml', 'c.yaml': 'gone.yaml', self: '.', m: '../m' })) {
      await symlink(target, join(folder, 'linked', name));
    }
    const circle = 'its symbolic links form a circle; fix the link, or leave it out';
    expect(await problemsOf(join(folder, 'linked'))).toEqual([
      `linked/a.yaml: ${circle}`,
      `linked/b.yaml: ${circle}`,
      'linked/c.yaml: there is no such file or folder; check the name',
    ]);
    expect(await problemsOf(join(folder, 'linked/a.yaml'))).toEqual([`linked/a.yaml: ${circle}`]);
  });
  test('every input that cannot be read is reported', async () => {
    expect(await problemsOf(join(folder, 'none.yaml'), join(folder, 'empty'), join(folder, 'latin1.yaml'))).toEqual([
      'none.yaml: there is no such file or folder; check the name',
      'empty: this folder has no manifests; name a folder with *.yaml, *.yml or *.json files',
      'latin1.yaml: the text is not UTF-8; save it as UTF-8',
    ]);
  });
});

describe('documents', () => {
  test('pods are found in workloads and lists, with their lines, and objects without a pod are counted', () => {
    const { documents } = sourceOf(`# head
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: deep}
  spec:
    template:
      spec:
        hostPID: true
---
# nothing
---
apiVersion: v1
kind: PodList
items:
- metadata: {name: untyped}
  spec: {}
`);
    expect(
      documents.map(({ pods, withoutPod }) => [
        pods.map(({ subject, headRange, at }) => [subject.kind, subject.name, headRange().line, at]),
        withoutPod,
      ]),
    ).toEqual([
      [[['Deployment', 'deep', 7, ['items', 1]]], 1],
      [[], 0],
      [[['Pod', 'untyped', 20, ['items', 0]]], 0],
    ]);
  });

  test.each([
    [
      'a list beside an object',
      `${POD}---\n- a\n`,
      'x.yaml:6:1: this is not a Kubernetes object; write an object with apiVersion and kind',
    ],
    ['no kind', 'apiVersion: v1\n', 'x.yaml:1:1: the object has no kind; add kind, or leave the object out of the input'],
    ['no apiVersion', 'kind: Pod\n', 'x.yaml:1:1: the Pod has no apiVersion; add apiVersion'],
    ['no spec', 'apiVersion: v1\nkind: Pod\n', 'x.yaml:1:1: spec is not an object; make it an object'],
    ['a wrong type', `${pod('a').replace('[]', 'none')}`, 'x.yaml:4:8: spec.containers is not a list; make it a list'],
    [
      'a quoted boolean',
      'apiVersion: v1\nkind: Pod\nspec:\n  hostPID: "true"\n',
      'x.yaml:4:3: spec.hostPID is not true or false; make it true or false',
    ],
    [
      'text read as a boolean',
      `${POD.replace('NAME', 'a')}`.replace('containers: []', 'nodeName: no'),
      'x.yaml:4:8: spec.nodeName is not a string; make it a string',
    ],
    [
      'bad YAML',
      'a: [1\nb: 2\n',
      'x.yaml:2:1: Flow sequence in block collection must be sufficiently indented and end with a ]; fix the YAML there',
    ],
    ['a key twice', 'kind: Pod\nkind: Pod\n', 'x.yaml:2:1: the key kind occurs twice; keep one of them'],
  ])('the problem is reported with its place and what to do: %s', (_, text, problem) => expect(problemsIn(text)[0]).toBe(problem));

  test('all problems are reported together', () => {
    expect(problemsIn('kind: Pod\n---\napiVersion: v1\n').map((each) => each.split(';')[0])).toEqual([
      'x.yaml:1:1: the Pod has no apiVersion',
      'x.yaml:3:1: the object has no kind',
    ]);
  });
});

describe('a file that is no manifest is skipped', () => {
  const NO_MANIFEST = 'x.yaml: this is no manifest: it has neither apiVersion nor kind; leave it out, or ignore it with --ignore';
  test.each([
    ['values of a chart', 'image: {repository: a}\n', NO_MANIFEST],
    ['a kustomization without its kind', 'resources:\n- pod.yaml\n', NO_MANIFEST],
    ['a package', '{"name": "a", "version": "1.0.0"}', NO_MANIFEST],
    ['a list', '- a\n', NO_MANIFEST],
    [
      'a template',
      'kind: Pod\nmetadata:\n  name: {{ .Values.name }}\n',
      'x.yaml:3:9: this is a template that is not rendered; render it first, for example with `helm template`',
    ],
    [
      'a template with an action on a line of its own',
      'kind: Pod\n# {{ not this one }}\nspec:\n  {{- with .Values.x }}\n  a: 1\n',
      'x.yaml:4:3: this is a template that is not rendered; render it first, for example with `helm template`',
    ],
  ])('a file that is no manifest is skipped: %s', (_, text, skipped) => expect(skippedIn(text)).toBe(skipped));

  test.each([
    ['YAML that is wrong above a bracket', 'kind: Pod\na: ]\nb: {{ x }}\n'],
    ['an object without its apiVersion', 'kind: Pod\n'],
  ])('a broken manifest is a problem: %s', (_, text) => {
    expect([skippedIn(text), problemsIn(text).length]).toEqual([undefined, 1]);
  });

  test('the documents above a template are read, and the rest of the file is skipped', () => {
    const text = `${POD.replace('NAME', '"{{ quoted }}"')}---\n# {{ no }}\n${POD.replace('NAME', '{{ .Values.name }}')}---\n${POD.replace('NAME', 'last')}`;
    expect(sourceOf(text).documents.flatMap(({ pods }) => pods.map(({ subject }) => subject.name))).toEqual(['{{ quoted }}']);
    const line = text.split('\n').findIndex((each) => each.includes('.Values')) + 1;
    expect(skippedIn(text)).toContain(`x.yaml:${line}:`);
    expect(skippedIn(text)).toContain(': the rest of the file, from here, is a template that is not rendered; render it first');
  });
  test('a template below comments alone is skipped as a whole', () => {
    expect(skippedIn(`# a\n---\n# b\n---\nkind: {{ x }}\n`)).toContain('x.yaml:5:7: this is a template that is not rendered');
  });
  test('a problem above a template is reported, and one below text in brackets is no template', () => {
    expect(problemsIn(`kind: Pod\n---\nkind: {{ x }}\n`)).toEqual(['x.yaml:1:1: the Pod has no apiVersion; add apiVersion']);
    expect(problemsIn(`${POD.replace('NAME', '"{{ quoted }}"')}---\na: ]\n`).length).toBe(1);
  });

  test('a quoted template is text like any other', () => {
    expect(sourceOf(POD.replace('NAME', '"{{ .Values.name }}"')).documents[0]?.pods[0]?.subject.name).toBe('{{ .Values.name }}');
  });
});

describe('an object with a list `items`', () => {
  const podsIn = (object: object): unknown[] =>
    sourceOf(JSON.stringify(object)).documents.flatMap(({ pods }) => pods.map(({ subject, at }) => [subject.kind, subject.name, at]));
  const pod = (name: string, more: object = {}): object => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: {}, ...more });

  test('a Pod is judged also if it has items, and its items too', () => {
    expect(podsIn(pod('a', { items: [] }))).toEqual([['Pod', 'a', []]]);
    expect(podsIn(pod('a', { items: [pod('b')] }))).toEqual([
      ['Pod', 'b', ['items', 0]],
      ['Pod', 'a', []],
    ]);
  });
  test('the pod of a custom resource is judged also if it has items', () => {
    const spec = { containers: [{ name: 'a', image: 'b' }] };
    expect(podsIn({ apiVersion: 'a.b/v1', kind: 'X', metadata: { name: 'x' }, items: [], spec: { template: { spec } } })).toEqual([
      ['X', 'x', []],
    ]);
  });
  test('a list is no object of its own', () => {
    for (const kind of ['List', 'PodList']) expect(podsIn({ ...pod('a'), kind, items: [pod('b')] })).toEqual([['Pod', 'b', ['items', 0]]]);
  });
});

describe('streams as kubectl reads them', () => {
  const json = (name: string): string => JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { hostPID: true } });
  test.each([
    ['JSON lines', `${json('a')}\n${json('b')}\n`],
    ['JSON without lines', `${json('a')}${json('b')}`],
    ['JSON below a byte order mark', `\ufeff${json('a')}\n\n  ${json('b')}`],
    ['YAML with a byte order mark in each document', `\ufeff${pod('a')}---\n\ufeff${pod('b')}`],
    ['YAML with a byte order mark below an empty line', `${pod('a')}--- # next\n\n\ufeff${pod('b')}`],
  ])('each object is read: %s', (_, text) => {
    const pods = sourceOf(text).documents.flatMap((document) => document.pods);
    expect(pods.map(({ subject }) => subject.name)).toEqual(['a', 'b']);
  });
  test('the ranges in a stream of JSON are those of the file', () => {
    const [, second] = sourceOf(`${json('a')}\n ${json('b')}`).documents;
    const column = json('b').indexOf('"hostPID"') + 2;
    expect(second?.pods[0]?.rangeOf(['spec', 'hostPID'])).toEqual({
      line: 2,
      column,
      endLine: 2,
      endColumn: column + '"hostPID":true'.length,
    });
  });
  test.each(['{a: 1}\n{b: 2}', '{"a": 1}\n{"b": }', '{"a": 1}}\n'])(
    'what is no stream of JSON is YAML, which is wrong here: %s',
    (text) => {
      expect(problemsIn(text).length).toBe(1);
    },
  );
  test('a file with many errors of syntax has one message', () => {
    expect(problemsIn('a: ]\nb: ]\n---\nc: [\n---\nd: }\n').map((each) => each.slice(0, 'x.yaml:1:4'.length))).toEqual(['x.yaml:1:4']);
  });
  test.each([
    ['a: "\u0001"\n', 'x.yaml:1:5: the control character U+0001 is not allowed; remove it, or write it as an escape in double quotes'],
    ['a: 1\nb: \u007f\n', 'x.yaml:2:4: the control character U+007F is not allowed; remove it, or write it as an escape in double quotes'],
  ])('control characters are refused: %j', (text, problem) => expect(problemsIn(text)).toEqual([problem]));
  // kubectl 1.36 reads generateName from `name: a # x\u2028  generateName: b`.
  test.each(['\u0085', '\u2028', '\u2029', '\r'])('a line that only kubectl starts is refused: %j', (character) => {
    const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    expect(problemsIn(pod('a').replace('spec:', `# x${character}spec:`))).toEqual([
      `x.yaml:4:4: the character U+${code} starts a line for kubectl, and not for other parsers; write a line feed, or write it as an escape in double quotes`,
    ]);
    expect(
      sourceOf(`${json('a').replace('{', `{${character === '\r' ? character : ''}`)}\n${json(`b${character === '\r' ? '' : character}`)}`)
        .documents.length,
    ).toBe(2);
  });
  test('tabs, line ends of Windows and other letters are allowed', () => {
    expect(sourceOf(`${pod('a')}# \u00e9 \u{1f600}\t\r\n`).documents.length).toBe(1);
  });
});

test('all 130,000 problems of a file are reported, each with its place', async () => {
  await writeFile(join(folder, 'many.yaml'), `kind: List\nitems: []\n${'---\n1\n'.repeat(130_000)}`);
  const problems = await problemsOf(join(folder, 'many.yaml'));
  expect(problems.length).toBe(130_000);
  expect(problems.at(-1)).toMatch(/^many\.yaml:260002:1: /);
});
