import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { printInputProblem, readManifests, readText, type Source } from '../../src/manifests/read.ts';

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

async function namesIn(names: readonly string[], stdin = noInput): Promise<string[]> {
  const read = await readManifests(names, stdin);
  if (!read.ok) throw new Error(read.error.map(printInputProblem).join('\n'));
  return read.value.flatMap(({ documents }) => documents.flatMap(({ pods }) => pods.map(({ subject }) => subject.name)));
}

async function problemsOf(...names: string[]): Promise<string[]> {
  const read = await readManifests(names, noInput);
  return read.ok ? [] : read.error.map((each) => printInputProblem(each).replaceAll(`${folder}/`, ''));
}

function sourceOf(text: string): Source {
  const read = readText('x.yaml', text);
  if (!read.ok) throw new Error(read.error.map(printInputProblem).join('\n'));
  return read.value;
}

function problemsIn(text: string): string[] {
  const read = readText('x.yaml', text);
  return read.ok ? [] : read.error.map(printInputProblem);
}

describe('input', () => {
  test('a folder is read recursively, in the order of names, without hidden files', async () => {
    expect(await namesIn([join(folder, 'm')])).toEqual(['a', 'b', 'c', 'a']);
  });
  test('`-` is standard input', async () => {
    expect(await namesIn(['-'], Readable.from([Buffer.from(pod('x')), Buffer.from(`---\n${pod('z')}`)]))).toEqual(['x', 'z']);
  });
  test('a file that is named twice is read once', async () => {
    expect(await namesIn([join(folder, 'm/a.yaml'), join(folder, 'm/a.yaml')])).toEqual(['a']);
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
      documents.map(({ pods, withoutPod }) => [pods.map(({ subject, line, at }) => [subject.kind, subject.name, line, at]), withoutPod]),
    ).toEqual([
      [[['Deployment', 'deep', 7, ['items', 1]]], 1],
      [[], 0],
      [[['Pod', 'untyped', 20, ['items', 0]]], 0],
    ]);
    const [deep] = documents[0]?.pods ?? [];
    expect(deep?.lineOf(['spec', 'template', 'spec', 'hostPID'])).toBe(13);
    expect(deep?.lineOf(['spec', 'template', 'spec', 'securityContext', 'seccompProfile'])).toBe(12);
  });

  test.each([
    ['an item that is not an object', '- a\n', 'x.yaml:1:1: this is not a Kubernetes object; write an object with apiVersion and kind'],
    ['no kind', 'a: 1\n', 'x.yaml:1:1: the object has no kind; add kind, or leave the object out of the input'],
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
    ['a key twice', 'kind: Pod\nkind: Pod\n', 'x.yaml:2:1: the key kind is here twice; keep one of them'],
  ])('the problem is reported with its place and what to do: %s', (_, text, problem) => expect(problemsIn(text)[0]).toBe(problem));

  test('all problems are reported together', () => {
    expect(problemsIn('kind: Pod\n---\napiVersion: v1\n').map((each) => each.split(';')[0])).toEqual([
      'x.yaml:1:1: the Pod has no apiVersion',
      'x.yaml:3:1: the object has no kind',
    ]);
  });
});

test('all 130,000 problems of a file are reported, each with its place', async () => {
  await writeFile(join(folder, 'many.yaml'), '---\n1\n'.repeat(130_000));
  const problems = await problemsOf(join(folder, 'many.yaml'));
  expect(problems.length).toBe(130_000);
  expect(problems.at(-1)).toMatch(/^many\.yaml:260000:1: /);
});
