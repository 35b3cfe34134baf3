import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { jsonSchemas } from '../../src/config/json-schema.ts';
import { cloister } from '../support/run.ts';

const root = join(import.meta.dirname, '../..');

function validatorOf(name: string) {
  const ajv = new Ajv({ allErrors: true, strict: false });
  addFormats.default(ajv);
  return ajv.compile(jsonSchemas.get(name)?.() ?? {});
}

test.each([...jsonSchemas.keys()])('the schema %s is printed with its $id, and is the file in schemas/', async (name) => {
  const { code, stdout } = await cloister(['schema', name]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout).$id).toBe(`https://cloister.dev/schemas/v1alpha1/${name}.json`);
  expect(readFileSync(join(root, `schemas/${name}.json`), 'utf8'), 'run ./dev schemas').toBe(stdout);
});

test('without an argument, the schema is that of the configuration', async () => {
  expect((await cloister(['schema'])).stdout).toBe((await cloister(['schema', 'config'])).stdout);
});

describe('the schema of the configuration', () => {
  const validate = validatorOf('config');
  const head = { apiVersion: 'cloister.dev/v1alpha1', kind: 'Config' };
  test('the example and every example of the page are valid', () => {
    const page = readFileSync(join(root, 'docs/configuration.md'), 'utf8');
    const examples = [...page.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text = '']) => ({ ...head, ...parse(text) }));
    expect(examples.length).toBeGreaterThan(15);
    for (const example of [...examples, parse(readFileSync(join(root, 'examples/config.yaml'), 'utf8'))]) {
      expect([validate(example), validate.errors], JSON.stringify(example)).toEqual([true, null]);
    }
  });
  test.each([
    ['no kind', { apiVersion: head.apiVersion }],
    ['an unknown key', { ...head, profile: {} }],
    ['an option of another backend', { ...head, profiles: { gvisor: { nesting: 'seccomp' } } }],
    ['a profile that extends nothing', { ...head, profiles: { mine: {} } }],
    [
      'a rule without exemptions',
      {
        ...head,
        exemptions: [{ reason: 'x', expires: '2030-01-01', namespaces: ['a'], serviceAccounts: ['*'], allow: { privileged: ['x'] } }],
      },
    ],
    ['an element of governs without a mode', { ...head, governs: [{ namespaces: ['a'] }] }],
  ])('the schema rejects %s', (_, config) => expect(validate(config)).toBe(false));
});

describe('the schema of policy tests', () => {
  const validate = validatorOf('test');
  const example = parse(readFileSync(join(root, 'examples/policy-tests/workspaces.yaml'), 'utf8'));
  test('the example is valid', () => expect([validate(example), validate.errors]).toEqual([true, null]));
  test.each([
    ['no tests', { ...example, tests: [] }],
    ['an unknown rule', { ...example, tests: [{ name: 'a', file: 'b', expect: { verdict: 'clean', findings: ['root'] } }] }],
    ['an unknown key', { ...example, test: [] }],
  ])('the schema rejects %s', (_, file) => expect(validate(file)).toBe(false));
});
