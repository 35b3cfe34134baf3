import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UNJUDGED_FIELDS } from '../../../src/core/unjudged-fields.ts';
import type { Scaffold } from '../new.ts';

/** A rule that removes a field that is true. @returns undefined if the field is neither one of the pod's spec nor of its containers */
export function newRule(id: string, field = ''): Scaffold | undefined {
  const { container, name } = /^spec\.(?<container>containers\[\*\]\.)?(?<name>[a-z][A-Za-z]*)$/.exec(field)?.groups ?? {};
  if (name === undefined) return undefined;
  const ofContainer = container !== undefined;
  const constant = id.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const summary = ofContainer ? `No container sets ${name}.` : `The pod does not set ${name}.`;
  const isListed = UNJUDGED_FIELDS.some(({ path }) => path === field);
  const shape = ofContainer ? 'container' : 'podSpec';
  return {
    files: {
      [`src/core/rules/${id}.ts`]: ruleText({ id, field, name, constant, summary, ofContainer }),
      [`test/rules/${id}.test.ts`]: tableText({ id, field, name, constant, ofContainer }),
      [`docs/rules/${id}.md`]: pageText({ id, field, name, summary, ofContainer }),
    },
    insertions: [
      { file: 'src/core/rules/index.ts', text: `import { ${constant} } from './${id}.ts';\n`, before: /^import type \{ Rule \}/m },
      { file: 'src/core/rules/index.ts', text: `  ${constant},\n`, before: /^\];/m },
      { file: 'src/core/pod.ts', text: `  ${name}: boolean,\n`, before: nextFieldOf(shape, name) },
      {
        file: 'test/support/pods.ts',
        text: `  ${name}: true,\n`,
        before: new RegExp(`(?<=^(?:export )?const ${ofContainer ? 'hostileContainer' : 'hostilePod'}: Sketch = \\{\\n)`, 'm'),
      },
      { file: 'docs/README.md', text: `| [${id}](rules/${id}.md) | ${summary} |\n`, before: /(?<=^\| \[windows\].*\n)/m },
    ],
    remains: [
      `src/core/rules/${id}.ts: say why the field is dangerous, and replace the check and its CEL`,
      `src/core/rules/index.ts and docs/README.md: move the rule to its place in the reading order, the same in both`,
      `src/core/pod.ts: change the type of ${name} if it is not a boolean`,
      ...(isListed ? [`src/core/unjudged-fields.ts: remove ${field}, which a rule judges now`] : []),
      `test/support/oracle.ts: report such pods; test/support/hostile-pods.ts: generate them. Or, if a pod cannot escape through the field:`,
      `  test/property/oracle.test.ts: add the rule to NO_ESCAPE`,
      `docs/rules/${id}.md: say why, in two to six sentences`,
      `CHANGELOG.md: say what Cloister denies or repairs now`,
      `./dev format && ./dev update && ./dev test:unit test/rules/${id} test/core test/contract test/property test/docs`,
    ],
  };
}

/** The fields of a shape are in alphabetical order, behind `name`: finds the first one behind the new field, or else the end of the shape. */
function nextFieldOf(shape: string, name: string): RegExp {
  const start = `^const ${shape} = object\\(\\{\\n(?:  .*\\n)*`;
  const text = readFileSync(join(import.meta.dirname, '../../../src/core/pod.ts'), 'utf8');
  const block = new RegExp(start, 'm').exec(text)?.[0] ?? '';
  const fields = [...block.matchAll(/^ {2}(\w+)/gm)].map(([, field = '']) => field);
  const next = fields.find((field) => field !== 'name' && field > name);
  return new RegExp(`(?<=${start})${next === undefined ? '\\}\\);' : `  ${next}[:,]`}`, 'm');
}

interface Names {
  readonly id: string;
  readonly field: string;
  readonly name: string;
  readonly ofContainer: boolean;
}

function ruleText({
  id,
  field,
  name,
  constant,
  summary,
  ofContainer,
}: Names & { readonly constant: string; readonly summary: string }): string {
  const check = ofContainer
    ? `  checkContainer({ spec }, report) {
    if (spec.${name} === true) report({ path: ['${name}'], message: '${name} is true', fix: REMOVE });
  },`
    : `  checkPod(pod, report) {
    if (specOf(pod).${name} === true) report({ path: ['spec', '${name}'], message: '${name} is true', fix: REMOVE });
  },`;
  const inTree = ofContainer
    ? `    container: () => [{ where: flagAt('c', '${name}'), says: quote('${name} is true'), remedy: quote('remove it') }],`
    : `    pod: ({ spec }) => [{ where: flagAt(spec, '${name}'), says: quote('${name} is true'), remedy: quote('remove it') }],`;
  return `import { flagAt, quote } from '../cel.ts';
${ofContainer ? '' : "import { specOf } from '../pod.ts';\n"}import { REMOVE, type Rule } from './rule.ts';

/**
 * What a pod gains through the field, and why no profile's wall prevents it.
 *
 * Fields: ${field}
 * Allowed: absent or false
 * Fix: drop it.
 * Source: ${REFERENCE}
 */
export const ${constant}: Rule = {
  id: '${id}',
  summary: '${summary}',
  fields: ['${field}'],
${check}
  inTree: {
${inTree}
  },
};
`;
}

function tableText({ id, field, name, constant, ofContainer }: Names & { readonly constant: string }): string {
  const passes = (value: string): string => (ofContainer ? `{ containers: [{ ${name}: ${value} }] }` : `{ ${name}: ${value} }`);
  const fails = ofContainer
    ? `inEachList('a container with ${name}: true', { ${name}: true }, { finds: ['${name}'], fixed: {} })`
    : `{ 'a pod with ${name}: true': { pod: { ${name}: true }, finds: ['${field}'], fixed: {} } }`;
  return `import { ${constant} } from '../../src/core/rules/${id}.ts';
import { ${ofContainer ? 'inEachList, ' : ''}testRule } from '../support/test-rule.ts';

testRule(${constant}, {
  passes: { 'a pod without the field': {}, 'the field at false': ${passes('false')}, 'the field at null': ${passes('null')} },
  fails: ${fails},
});
`;
}

function pageText({ id, field, name, summary, ofContainer }: Names & { readonly summary: string }): string {
  const pod = (ofPod: string, ofContainers: string): string => `apiVersion: v1
kind: Pod
metadata:
  name: workspace
spec:
  hostUsers: false
${ofPod}  securityContext: {seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: workspace
    image: registry.example.com/workspace:1
${ofContainers}    securityContext: {allowPrivilegeEscalation: true}
`;
  const before = ofContainer ? pod('', `    ${name}: true\n`) : pod(`  ${name}: true\n`, '');
  return `# ${id}

${summary}

## Why

The field gives a pod something that no wall takes back. Say what it is here, and how a pod would use it.

## Fields and allowed values

| Field | Allowed |
|---|---|
| \`${field}\` | absent or \`false\` |

## Fix

The field is removed. No exemption can let this through.

## Example

Profile \`userns\`, grant \`sudo\`:

\`\`\`yaml
${before}\`\`\`

After:

\`\`\`yaml
${pod('', '')}\`\`\`

## Source

- [Kubernetes: Pod](${REFERENCE})
`;
}

const REFERENCE = 'https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/';
