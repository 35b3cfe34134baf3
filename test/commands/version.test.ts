import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { backends } from '../../src/core/profiles/index.ts';
import { cloister } from '../support/run.ts';

const root = join(import.meta.dirname, '../..');

test('the version is printed with what this version knows', async () => {
  const [text, json] = await Promise.all([cloister(['version']), cloister(['version', '-o', 'json'])]);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const facts = JSON.parse(json.stdout);
  expect(facts).toMatchObject({ version, configuration: 'cloister.dev/v1alpha1', profiles: backends.map(({ id }) => id) });
  expect(text.stdout).toMatch(new RegExp(`^version: +${RegExp.escape(version)}\\n`));
  expect(text.stdout.trimEnd().split('\n').length).toBe(Object.keys(facts).length);
});

test('the tested version of Kubernetes is that of the API server of the tests', async () => {
  const { kubernetes } = JSON.parse((await cloister(['version', '-o', 'json'])).stdout);
  // test/core/openapi.test.ts compares them with the fixtures, and test/api-server with the API servers.
  expect(kubernetes).toEqual(['1.33', '1.34', '1.35', '1.36', '1.37']);
});
