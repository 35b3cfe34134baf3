import * as z from 'zod';
import { DNS_LABEL } from '../core/name-pattern.ts';
import { GRANTS } from '../core/requirements.ts';
import { rules } from '../core/rules/index.ts';
import { must } from './problems.ts';
import { API_VERSION } from './schema.ts';

/** The schema of a file of policy tests, which `cloister test` runs. */

const text = (what: string) => z.string(must(what)).regex(/\S/, must(what));
const name = (what: string) => z.string(must(what)).regex(DNS_LABEL, must(what));
const ruleNames = z.array(
  z.enum(rules.map(({ id }) => id) as [string, ...string[]], must('be the id of a rule; `cloister explain` lists them')),
  must('be a list of rules'),
);

const expectation = z.strictObject(
  {
    verdict: z.enum(['clean', 'repairable', 'refused'], must('be clean, repairable or refused')),
    /** Rules that have a finding; others may have one too. */
    findings: ruleNames.optional(),
    /** Rules that have no finding. */
    absent: ruleNames.optional(),
  },
  must('be a map with a verdict'),
);

export const policyTestSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION, must(`be ${API_VERSION}`)),
  kind: z.literal('PolicyTest', must('be PolicyTest')),
  config: text('be the name of a configuration file, relative to this file').optional(),
  tests: z
    .array(
      z
        .strictObject(
          {
            name: text('say what the test shows'),
            file: text('be the name of a file with manifests, relative to this file').optional(),
            pod: z.looseObject({}, must('be an object with apiVersion and kind')).optional(),
            profile: name('be the name of a profile').optional(),
            grant: z.enum(GRANTS, must(`be one of ${GRANTS.join(', ')}`)).optional(),
            namespace: name('be the name of a namespace').optional(),
            expect: expectation,
          },
          must('be a test: a name, a file or a pod, and what to expect'),
        )
        .refine(({ file, pod }) => (file === undefined) !== (pod === undefined), must('have either file or pod')),
      must('be a list of tests'),
    )
    .min(1, must('have at least one test')),
});

export type PolicyTestFile = z.infer<typeof policyTestSchema>;
export type PolicyTest = PolicyTestFile['tests'][number];
