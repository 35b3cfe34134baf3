import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import type { Path } from '../../src/core/path.ts';
import { type FoundPod, readText } from '../../src/manifests/read.ts';

const TEXT = `# head
---
apiVersion: v1
kind: ConfigMap
metadata: {name: first}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
x-shared:
  context: &context
    privileged: true
    capabilities: {add: [SYS_ADMIN, KILL]}
  defaults: &defaults {hostPort: 80, protocol: TCP}
spec:
  template:
    spec:
      hostPID: true # why
      containers:
      - name: a
        image: b
        securityContext: *context
        ports:
        - <<: *defaults
          containerPort: 8080
      - {name: c, image: d, "tty": true,
         stdin: false}
`;

function podIn(text: string): FoundPod {
  const read = readText('x.yaml', text);
  const pods = 'source' in read ? read.source.documents.flatMap((document) => document.pods) : [];
  if (pods[0] === undefined) throw new Error(JSON.stringify(read));
  return pods[0];
}

/** The text of a range, read by nothing but lines and columns. */
function textAt(text: string, path: Path): string {
  const { line, column, endLine, endColumn } = podIn(text).rangeOf(path);
  const lines = text.split('\n').slice(line - 1, endLine);
  const cut = lines.map((each, index) => each.slice(index === 0 ? column - 1 : 0, index === lines.length - 1 ? endColumn - 1 : undefined));
  return cut.join('\n');
}

const spec = (...path: Path): Path => ['spec', 'template', 'spec', ...path];

describe('the range of a field', () => {
  test.each([
    ['a pair', spec('hostPID'), 'hostPID: true'],
    ['an item of a list', spec('containers', 1), '{name: c, image: d, "tty": true,\n         stdin: false}'],
    ['a pair of a flow map', spec('containers', 1, 'tty'), '"tty": true'],
    ['a pair on a later line of a flow map', spec('containers', 1, 'stdin'), 'stdin: false'],
    ['a value that is an alias', spec('containers', 0, 'securityContext'), 'securityContext: *context'],
    ['a field below an alias stands at the anchor', spec('containers', 0, 'securityContext', 'privileged'), 'privileged: true'],
    ['an item below an alias', spec('containers', 0, 'securityContext', 'capabilities', 'add', 1), 'KILL'],
    ['a merged key stands at the anchor', spec('containers', 0, 'ports', 0, 'hostPort'), 'hostPort: 80'],
    ['a key beside a merge', spec('containers', 0, 'ports', 0, 'containerPort'), 'containerPort: 8080'],
    ['a block', spec('containers', 0, 'ports'), 'ports:\n        - <<: *defaults\n          containerPort: 8080'],
    ['a missing field of a container: its first line', spec('containers', 0, 'securityContext', 'procMount'), 'name: a'],
    ['a missing field of a flow container: its first line', spec('containers', 1, 'securityContext'), '{name: c, image: d, "tty": true,'],
    ['a missing field of the pod: the first line of the template', spec('securityContext', 'seccompProfile'), 'template:'],
  ])('the range of a field is the text where it stands: %s', (_, path, expected) => expect(textAt(TEXT, path)).toBe(expected));

  test('a missing field of a Pod is at the first line of its document', () => {
    const { line, column, endColumn } = podIn('a: 1\nkind: X\napiVersion: v1\n---\n# note\napiVersion: v1\nkind: Pod\nspec: {}\n').rangeOf([
      'spec',
      'hostUsers',
    ]);
    expect([line, column, endColumn]).toEqual([6, 1, 'apiVersion: v1'.length + 1]);
  });
  test('columns count UTF-16 code units', () => {
    const text = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "\u{1f600}"}, "spec": {}}';
    expect(textAt(text, ['spec'])).toBe('"spec": {}');
    expect(podIn(text).rangeOf(['spec']).column).toBe([...text.slice(0, text.indexOf('"spec"'))].length + 2);
  });
  test('the sample is YAML with the meaning that the ranges claim', () => {
    const value = parseDocument(TEXT.split('---\n')[2] ?? '', { merge: true }).toJS();
    expect(value.spec.template.spec.containers[0].securityContext.capabilities.add[1]).toBe('KILL');
    expect(value.spec.template.spec.containers[0].ports[0]).toEqual({ hostPort: 80, protocol: 'TCP', containerPort: 8080 });
  });
});
