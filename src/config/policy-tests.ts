import { ok, type Result } from '../core/result.ts';
import { parseYaml } from './parse.ts';
import { parseLevel } from './problems.ts';
import { type PolicyTestFile, policyTestSchema } from './test-schema.ts';

/**
 * Parses a file of policy tests.
 * @param source the name of the text in messages
 * @returns undefined where the text is of another kind, and every problem where it is not valid
 */
export function parsePolicyTests(text: string, source: string): Result<PolicyTestFile | undefined, readonly string[]> {
  if (!/^["']?kind["']?\s*:\s*["']?PolicyTest["']?\s*(?:#.*)?$/m.test(text)) return ok(undefined);
  const yaml = parseYaml(text, source);
  if (!yaml.ok) return yaml;
  const problems: string[] = [];
  const file = parseLevel(policyTestSchema, yaml.value, [], problems);
  return file === undefined ? { ok: false, error: problems.map((each) => `${source}: ${each}`) } : ok(file);
}
