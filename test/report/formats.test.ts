import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import type { Log } from 'sarif';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { validateXML } from 'xmllint-wasm';
import { ruleById } from '../../src/core/rules/index.ts';
import { formats } from '../../src/report/formats.ts';
import type { CheckReport, PlacedFinding, PodReport, ReportContext } from '../../src/report/report.ts';
import { RANKED_RULES, severityOf, severityOfRule } from '../../src/report/severity.ts';
import { cloister, type Ran } from '../support/run.ts';

const root = join(import.meta.dirname, '../..');

/** Names that a format could confuse with its own syntax, pods of each verdict, and an object that is not judged. */
const TEXTS = `apiVersion: v1
kind: Pod
metadata: {name: "a,b:c%<&>\\"'"}
spec:
  hostPID: true
  nodeName: "n%1, x::y"
  containers: [{name: a, image: b, securityContext: {capabilities: {add: [BPF]}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: twice}
spec: &spec
  hostUsers: false
  securityContext: {seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: a
    image: b
---
apiVersion: v1
kind: Pod
metadata: {name: twice}
spec: {hostUsers: false, securityContext: {seccompProfile: {type: RuntimeDefault}}, containers: [{name: a, image: b, securityContext: {allowPrivilegeEscalation: true}}]}
---
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flow}
spec: {templates: [{name: a, container: {image: b}}]}
`;

let folder = '';
const printed = new Map<string, Ran>();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-formats-'));
  await writeFile(join(folder, 'po ds,1.yaml'), TEXTS);
  await writeFile(join(folder, 'values.yaml'), 'a: 1\n');
  await writeFile(join(folder, 'chart.yaml'), `apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\nkind: {{ .Values.kind }}\n`);
  for (const format of formats.keys()) {
    printed.set(format, await cloister(['check', 'po ds,1.yaml', 'values.yaml', 'chart.yaml', '-o', format], '', {}, folder));
  }
}, 60_000);
afterAll(() => rm(folder, { recursive: true }));

const textOf = (format: string): string => printed.get(format)?.stdout ?? '';
const log = (): Log => JSON.parse(textOf('sarif'));

test('no format changes the exit status, and none writes an error', () => {
  for (const [format, { code, stderr }] of printed) expect([format, code, stderr]).toEqual([format, 1, '']);
});

test.each([...formats.keys()])(
  '-o %s names the object that is not judged, the file that is skipped, and the place from where a file is skipped',
  (format) => {
    const text = textOf(format);
    expect(text).toMatch(/templates(?:\[|%5B)?/);
    expect(text).toContain('this is no manifest');
    expect(text).toContain('the rest of the file, from here, is a template that is not rendered');
    expect(text).toContain('chart.yaml');
  },
);

test.each(['sarif', 'github', 'gitlab'])('-o %s needs files', async (format) => {
  const { code, stdout, stderr } = await cloister(['check', '-', '-o', format], TEXTS);
  expect([code, stdout, stderr]).toEqual([
    2,
    '',
    `error: -o ${format} shows findings in files, and standard input is no file: name files, or use another format\n`,
  ]);
});

test('file names start at --root, with a whole path outside of it', async () => {
  const check = async (at: string): Promise<string[]> => {
    const { stdout } = await cloister(['check', 'po ds,1.yaml', '-o', 'gitlab', '--root', at], '', {}, folder);
    return [...new Set((JSON.parse(stdout) as { location: { path: string } }[]).map(({ location }) => location.path))];
  };
  expect(await Promise.all([check('..'), check('elsewhere')])).toEqual([
    [`${folder.split('/').at(-1)}/po ds,1.yaml`],
    [join(folder, 'po ds,1.yaml')],
  ]);
});

test('a file below --root whose name starts with two dots is not outside of it', async () => {
  await writeFile(join(folder, '..a.yaml'), TEXTS);
  const { stdout } = await cloister(['check', '..a.yaml', '-o', 'gitlab'], '', {}, folder);
  expect(JSON.parse(stdout)[0].location.path).toBe('..a.yaml');
});

describe('sarif', () => {
  test('the log conforms to the published schema of SARIF 2.1.0', () => {
    const file = createRequire(import.meta.url).resolve('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json');
    const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false });
    addFormats.default(ajv);
    // The schema is written for draft 4, whose `id` later drafts call `$id`; all else that it uses has the same meaning in both.
    const { $schema: _, id: __, ...schema } = JSON.parse(readFileSync(file, 'utf8'));
    const validate = ajv.compile(schema);
    expect([validate(log()), validate.errors]).toEqual([true, null]);
    expect(validate({ ...log(), runs: [{ ...log().runs[0], results: [{}] }] })).toBe(false);
  });

  test('each result has a rule, a level, a fingerprint and a place, worst first', () => {
    const [run] = log().runs;
    const results = run?.results ?? [];
    const rules = run?.tool.driver.rules ?? [];
    expect(results.length).toBeGreaterThan(5);
    for (const { ruleId, ruleIndex, level, locations } of results) {
      expect(rules[ruleIndex ?? -1]?.id).toBe(ruleId);
      expect(level).toMatch(/^(?:error|warning|note)$/);
      expect(locations?.[0]?.physicalLocation?.artifactLocation?.uri).toBe('po%20ds%2C1.yaml');
    }
    const fingerprints = results.map(({ partialFingerprints }) => partialFingerprints?.['cloister/v1']);
    expect(new Set(fingerprints).size).toBe(results.length);
    const levels = results.map(({ level = '' }) => ['error', 'warning', 'note'].indexOf(level));
    expect(levels).toEqual(levels.toSorted());
  });

  test('another field that the fix changes is a related location', async () => {
    const pod = `apiVersion: v1
kind: Pod
metadata: {name: related}
spec:
  containers: [{name: a, image: b}]
  volumes: [{name: home, emptyDir: {}}]
`;
    await writeFile(join(folder, 'related.yaml'), pod);
    const { stdout } = await cloister(['check', 'related.yaml', '-o', 'sarif', '--grant', 'containers'], '', {}, folder);
    const results = (JSON.parse(stdout) as Log).runs[0]?.results ?? [];
    const related = results.flatMap(({ ruleId, relatedLocations = [] }) => relatedLocations.map((location) => ({ ruleId, location })));
    expect(related).toMatchObject([
      {
        ruleId: 'image-storage',
        location: {
          message: { text: 'spec.volumes: the fix changes this too' },
          physicalLocation: { artifactLocation: { uri: 'related.yaml' }, region: { startLine: 6 } },
        },
      },
    ]);
  });

  test('a region contains the value', () => {
    const result = log().runs[0]?.results?.find(({ ruleId }) => ruleId === 'node-name');
    const { startLine = 0, startColumn = 0, endLine, endColumn } = result?.locations?.[0]?.physicalLocation?.region ?? {};
    expect(endLine).toBe(startLine);
    expect(TEXTS.split('\n')[startLine - 1]?.slice(startColumn - 1, (endColumn ?? 0) - 1)).toBe('nodeName: "n%1, x::y"');
  });

  test('each rule has help without relative links, and a severity that GitHub reads', () => {
    const { homepage, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const sources = homepage.replace('#readme', '');
    expect(log().runs[0]?.tool.driver.informationUri).toBe(sources);
    for (const { id, help, helpUri, properties, shortDescription } of log().runs[0]?.tool.driver.rules ?? []) {
      const [rule = '', lesser] = id.split('/');
      const { summary } = ruleById.get(rule) ?? {};
      expect(shortDescription?.text, id).toBe(lesser === undefined ? summary : `${summary} Here the grant does not have its full effect.`);
      expect(help?.markdown, id).toContain(`# ${rule}\n`);
      expect(help?.markdown, id).not.toMatch(/\]\((?!https?:)/);
      expect(Number(properties?.['security-severity']), id).toBeGreaterThan(0);
      expect(helpUri, id).toBe(`${sources}/blob/v${version}/docs/rules/${rule}.md`);
    }
  });

  test('a result is as severe as its rule, because GitHub takes the severity from the rule', () => {
    const [pod] = large(0, 1).pods as [PodReport];
    const finding = (rule: string, kind: PlacedFinding['kind']): PlacedFinding => ({ ...pod, rule, kind, path: ['spec'], message: 'x' });
    const findings = [
      finding('host-namespaces', 'escape'),
      finding('privileged', 'promise'),
      finding('image-storage', 'promise'),
      finding('unknown-fields', 'unknown'),
    ];
    const rulesIn = (mode: PodReport['mode']): unknown[] => {
      const [run] = (JSON.parse(formats.get('sarif')?.({ ...large(0, 1), pods: [{ ...pod, mode, findings }] }, context) ?? '') as Log).runs;
      return (run?.results ?? []).map(({ ruleIndex, level }) => {
        const { id, defaultConfiguration, properties } = run?.tool.driver.rules?.[ruleIndex ?? -1] ?? {};
        expect(defaultConfiguration?.level, id).toBe(level);
        return [id, level, properties?.['security-severity']];
      });
    };
    const promises = [
      ['privileged/promise', 'warning', '2.0'],
      ['image-storage', 'warning', '2.0'],
      ['unknown-fields', 'note', '2.0'],
    ];
    expect(rulesIn('enforce')).toEqual([['host-namespaces', 'error', '9.5'], ...promises]);
    for (const mode of ['warn', 'audit'] as const)
      expect(rulesIn(mode), mode).toEqual([['host-namespaces/unenforced', 'warning', '2.0'], ...promises]);
  });

  test('what is not judged and what is skipped are notifications', () => {
    const texts = log().runs[0]?.invocations?.[0]?.toolExecutionNotifications?.map(({ message }) => message.text);
    expect(texts).toEqual([
      expect.stringContaining('Workflow flow is not judged: '),
      expect.stringContaining('The file is skipped: this is no manifest'),
      expect.stringContaining('The rest of the file is skipped: the rest of the file, from here, is a template'),
    ]);
  });

  test('--category names the run', async () => {
    const { stdout } = await cloister(['check', 'po ds,1.yaml', '-o', 'sarif', '--category', 'prod'], '', {}, folder);
    expect((JSON.parse(stdout) as Log).runs[0]?.automationDetails).toEqual({ id: 'prod/' });
  });

  test('of 30,000 findings the worst 24,999 are kept, and the last result names the others', () => {
    const [sarif] = [formats.get('sarif')];
    const results = (JSON.parse(sarif?.(large(30_000, 10), context) ?? '') as Log).runs[0]?.results ?? [];
    expect(results.length).toBe(25_000);
    expect(results.at(-1)).toMatchObject({
      ruleId: 'report-limit',
      message: { text: expect.stringContaining('5001 less severe findings') },
    });
    expect(results.slice(0, -1).filter(({ level }) => level === 'error').length).toBe(15_000);
  });

  test('a log has at most about 10 MB', () => {
    const text = formats.get('sarif')?.(large(24_000, 150), context) ?? '';
    expect(text.length).toBeLessThan(10_100_000);
    expect((JSON.parse(text) as Log).runs[0]?.results?.at(-1)?.ruleId).toBe('report-limit');
  });
});

describe('junit', () => {
  const validate = async (xml: string) => {
    const schema = readFileSync(join(root, 'test/fixtures/junit/jenkins-junit.xsd'), 'utf8');
    return validateXML({ xml: [{ fileName: 'report.xml', contents: xml }], schema: [schema] });
  };
  test('the report conforms to the schema of Jenkins', async () => {
    expect((await validate(textOf('junit'))).errors).toEqual([]);
    expect((await validate(textOf('junit').replaceAll('<failure', '<fault').replaceAll('</failure', '</fault'))).valid).toBe(false);
  });
  test('each pod is a case with a name of its own; escapes fail it, and promises skip it', () => {
    const names = [...textOf('junit').matchAll(/<testcase classname="([^"]*)" name="([^"]*)"(\/?)>(?=(?:\n *<(\w+))?)/g)];
    expect(names.map(([, file, name, isEmpty, inside]) => [file, name, isEmpty === '' ? inside : 'passed'])).toEqual([
      ['po ds,1.yaml', "Pod default/a,b:c%&lt;&amp;&gt;&quot;'", 'failure'],
      ['po ds,1.yaml', 'Pod default/twice', 'skipped'],
      ['po ds,1.yaml', 'Pod default/twice (2)', 'passed'],
      ['po ds,1.yaml', 'Workflow flow', 'skipped'],
      ['values.yaml', 'the file', 'skipped'],
      ['chart.yaml', 'the rest of the file', 'skipped'],
    ]);
    expect(textOf('junit')).toContain('<testsuites name="cloister check" tests="6" failures="1" errors="0" time="');
  });
});

describe('github', () => {
  test('each line is a command whose parameters are escaped, worst first', () => {
    const lines = textOf('github').trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(/^::(?:error|warning|notice) (?:[a-zA-Z]+=[^,:\n]+,?)+::[^\n]+$/);
    expect(lines[0]).toMatch(/^::error file=po ds%2C1\.yaml,line=\d+,endLine=\d+,col=\d+,endColumn=\d+,title=[a-z-]+::/);
    expect(lines.find((line) => line.includes('title=node-name'))).toContain('nodeName is n%251, x::y');
    expect(lines.at(-1)).toBe(
      '::notice title=cloister check::1 refused, 1 repairable, 1 clean; 1 object without a pod; 1 object not judged; 2 files skipped',
    );
    expect(lines.filter((line) => line.startsWith('::notice file='))).toEqual([
      expect.stringContaining('title=not judged::Workflow flow is not judged: '),
      expect.stringContaining('file=values.yaml,line=1,'),
      expect.stringContaining('file=chart.yaml,line=5,endLine=5,col=7,'),
    ]);
  });
  test('the summary counts pods that no mode refuses, and pods that nothing governs', () => {
    const { pods, ...rest } = large(0, 1);
    const summaryOf = (parts: Partial<CheckReport>): string | undefined => formats.get('github')?.({ pods, ...rest, ...parts }, context);
    expect(summaryOf({ pods: pods.map((pod) => ({ ...pod, mode: 'audit' })) })).toBe(
      '::notice title=cloister check::0 refused, 0 repairable, 0 clean, 1 admitted without enforcement\n',
    );
    expect(summaryOf({ pods: [], ungoverned: 1 })).toBe(
      '::notice title=cloister check::0 refused, 0 repairable, 0 clean; 1 pod not judged, because nothing governs its namespace\n',
    );
  });
  test('at most ten annotations of each level are printed, and the others are counted', () => {
    const lines = (formats.get('github')?.(large(60, 10), context) ?? '').trimEnd().split('\n');
    const count = (level: string): number => lines.filter((line) => line.startsWith(`::${level} `)).length;
    expect([count('error'), count('warning'), count('notice')]).toEqual([10, 10, 1]);
    expect(lines.at(-1)).toContain('40 findings are not annotated');
  });
});

test('gitlab: each finding has the fields of a Code Quality report, and a fingerprint of its own', () => {
  const text = textOf('gitlab');
  expect(text.charCodeAt(0)).toBe('['.charCodeAt(0));
  const all = JSON.parse(text) as Record<string, unknown>[];
  const violations = all.filter(({ check_name }) => check_name !== 'not-judged');
  expect(all.slice(violations.length).map(({ severity, location }) => [severity, location])).toEqual([
    ['info', { path: 'po ds,1.yaml', lines: { begin: 24, end: 24 } }],
    ['info', { path: 'values.yaml', lines: { begin: 1, end: 1 } }],
    ['info', { path: 'chart.yaml', lines: { begin: 5, end: 5 } }],
  ]);
  for (const violation of violations) {
    expect(violation).toEqual({
      description: expect.stringMatching(/^Pod .+: .+; .+/),
      check_name: expect.toSatisfy((name: string) => ruleById.has(name)),
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      severity: expect.stringMatching(/^(?:info|minor|major|critical|blocker)$/),
      location: { path: 'po ds,1.yaml', lines: { begin: expect.any(Number), end: expect.any(Number) } },
    });
  }
  expect(new Set(all.map(({ fingerprint }) => fingerprint)).size).toBe(all.length);
});

test('an escape in a namespace that does not enforce is a warning', () => {
  const report = large(4, 10);
  const warned = { ...report, pods: report.pods.map((pod) => ({ ...pod, mode: 'warn' as const })) };
  expect(formats.get('github')?.(warned, context)).not.toContain('::error');
  expect(formats.get('sarif')?.(warned, context)).not.toContain('"level":"error","message"');
  expect(formats.get('junit')?.(warned, context)).toContain('failures="0"');
  expect(formats.get('junit')?.(warned, context)).toContain(
    '<skipped>admitted in mode warn under profile userns, grant sudo; refused in mode enforce&#10;tolerations: ',
  );
  expect(formats.get('github')?.(report, context)).toContain('::error');
});

describe('severities', () => {
  test('every ranked rule exists', () => expect(RANKED_RULES.filter((rule) => !ruleById.has(rule))).toEqual([]));
  test.each([
    ['host-namespaces', 'escape', 'wall'],
    ['capabilities', 'escape', 'device'],
    ['tolerations', 'escape', 'escape'],
    ['capability-grant', 'escape', 'escape'],
    ['host-namespaces', 'promise', 'promise'],
    ['unknown-fields', 'unknown', 'unknown'],
  ] as const)('a finding of %s of kind %s is of severity %s', (rule, kind, severity) => expect(severityOf({ rule, kind })).toBe(severity));
  test('the severity of a rule is the worst of its findings', () => {
    expect(['image-storage', 'rootful-engine', 'unknown-fields', 'seccomp'].map(severityOfRule)).toEqual([
      ...['promise', 'promise', 'unknown', 'escape'],
    ]);
  });
});

const context: ReportContext = {
  stream: process.stdout,
  version: '1.2.3',
  sources: 'https://example.org/cloister',
  category: undefined,
  seconds: 1,
  helpOf: () => '# x\n\nWhy.\n',
};

/** Half of the findings are escapes, in a mixed order. */
function large(count: number, messageChars: number): CheckReport {
  const place = { line: 1, column: 1, endLine: 1, endColumn: 2 };
  const findings = Array.from({ length: count }, (_, index): PlacedFinding => {
    const kind = index % 2 === 0 ? 'promise' : 'escape';
    return { rule: 'tolerations', kind, path: ['spec', 'tolerations', index], message: 'x'.repeat(messageChars), ...place };
  });
  const pod: PodReport = {
    ...{ file: 'a.yaml', kind: 'Pod', name: 'a', namespace: 'b', profile: 'userns', grant: 'sudo', chosenBy: [] },
    ...{ mode: 'enforce', verdict: 'refused' },
    ...place,
    findings,
    exempted: [],
  };
  return { pods: [pod], unjudged: [], skipped: [], ungoverned: 0, withoutPod: 0, ignored: 0 };
}

test('a pod that is not judged completely passes in no format', () => {
  const unattributed: CheckReport = {
    ...large(1, 1),
    pods: large(1, 1).pods.map((pod) => ({ ...pod, findings: [], unattributed: ['spec.nodeName'] })),
  };
  const textOf = (format: string): string => formats.get(format)?.(unattributed, context) ?? '';
  expect((JSON.parse(textOf('sarif')) as Log).runs[0]?.invocations?.[0]?.toolExecutionNotifications).toMatchObject([
    { message: { text: expect.stringContaining('not judged: spec.nodeName') } },
  ]);
  expect(textOf('junit')).toContain('skipped="1"');
  expect(textOf('junit')).toContain('not judged: spec.nodeName');
  for (const format of ['text', 'github']) expect(textOf(format)).toContain('1 pod not judged completely');
});
