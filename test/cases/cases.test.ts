import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { applyToCopy } from '../../src/apply-patch.ts';
import { parseConfig } from '../../src/config/load.ts';
import { judge } from '../../src/core/judge.ts';
import { printPath } from '../../src/core/path.ts';
import { selectPolicy } from '../../src/core/policy.ts';
import { repair } from '../../src/core/repair.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { warningsOf } from '../../src/webhook/review/wording.ts';
import { NOW } from '../support/test-rule.ts';
import { CASES, podOf, textOf } from './cases.ts';

const config = parseConfig(textOf('config.yaml'), 'config.yaml', { now: NOW });
if (!config.ok) throw new Error(config.error.join('\n'));
const { profiles } = config.value;

test('every pod of the folder has a case', () => {
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.yaml') && file !== 'config.yaml');
  expect([...new Set(CASES.map(({ file }) => file))].toSorted()).toEqual(files.toSorted());
});

describe.each(CASES)('$file under $profile', ({ file, profile: id, left, warns, silent = [], repaired }) => {
  const subject = subjectOf(podOf(file), '', 'Pod');
  const profile = profiles.get(id);
  if (!subject.ok || profile === undefined) throw new Error(`${file} is no pod, or ${id} no profile`);
  const policy = selectPolicy(profile, subject.value.pod, { profiles, obeysProfileLabel: true });
  const input = { subject: subject.value, policy, namespace: 'team-a', exemptions: [], now: NOW };
  const { findings } = judge(input);
  const done = repair(input, judge(input), { apply: applyToCopy, addsAnnotation: false });

  test('it is repaired, or refused for what only a person can change', () => {
    expect(done.unresolved.map(({ rule, path }) => `${rule} ${printPath(path)}`)).toEqual(left);
  });

  test('the warnings say what matters, and nothing else has a finding', () => {
    const warnings = warningsOf(findings, id);
    for (const [rule, says] of warns) {
      const about = warnings.filter((each) => each.includes(rule)).join('\n');
      expect(about, `${rule}: ${warnings.join('\n')}`).toMatch(says);
    }
    expect(findings.map(({ rule }) => rule).filter((rule) => silent.includes(rule))).toEqual([]);
    expect(Buffer.byteLength(warnings.join(''))).toBeLessThan(4_096);
  });

  test('the repaired pod is as it should be, and stable', () => {
    if (left.length > 0) return;
    if (repaired !== undefined) expect(done.subject.document).toMatchObject(repaired);
    const again = judge({ ...input, subject: done.subject }).findings;
    expect(again.filter(({ fix }) => fix !== undefined)).toEqual([]);
  });
});
