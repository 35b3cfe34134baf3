import { normalizeCapability } from '../core/containers.ts';
import type { Exemption } from '../core/exemptions.ts';
import type { Path } from '../core/path.ts';
import { ruleById, rules } from '../core/rules/index.ts';
import { isObject } from '../core/shape.ts';
import { didYouMean } from '../did-you-mean.ts';
import { joinWords, parseLevel, printProblem } from './problems.ts';
import { allowedValuesSchema, exemptionSchema, fieldOf } from './schema.ts';

/** Reads `exemptions`. */
export function readExemptions(written: unknown, problems: string[]): readonly Exemption[] {
  if (!Array.isArray(written)) return [];
  return written.flatMap((value: unknown, index) => {
    const path = ['exemptions', index];
    const exemption = parseLevel(exemptionSchema, value, path, problems);
    const allow = readAllow(fieldOf(value, 'allow'), [...path, 'allow'], problems);
    if (fieldOf(value, 'containers') !== undefined) problems.push(...problemsOfContainers(allow, path));
    return exemption === undefined ? [] : [{ ...exemption, allow }];
  });
}

/** A warning for each exemption that has expired. */
export function warnOfExpired(exemptions: readonly Exemption[], now: Date): string[] {
  return exemptions.flatMap(({ expires, reason }, index) => {
    if (now < expires) return [];
    const problem = `expired at ${expires.toISOString()} and lets nothing through (${reason}): renew or remove it`;
    return [printProblem(['exemptions', index], problem)];
  });
}

/** Whether containers, and not only the pod, have values of the rule. */
const isAboutContainers = (id: string): boolean => ruleById.get(id)?.checkContainer !== undefined;

/** A warning for each exemption that gives the workspace what another container needs. */
export function warnOfEveryContainer(exemptions: readonly Exemption[]): string[] {
  return exemptions.flatMap(({ allow, containers }, index) => {
    const ids = [...allow.keys()].filter(isAboutContainers);
    if (containers !== undefined || ids.length === 0) return [];
    const problem = `allows values of ${joinWords(ids, 'and')} in every container of its pods: list in \`containers\` the containers that need them`;
    return [printProblem(['exemptions', index], problem)];
  });
}

function problemsOfContainers(allow: Exemption['allow'], path: Path): string[] {
  return [...allow.keys()]
    .filter((id) => !isAboutContainers(id))
    .map((id) =>
      printProblem([...path, 'allow', id], 'is about the pod, not its containers: move it to an exemption without `containers`'),
    );
}

function readAllow(written: unknown, path: Path, problems: string[]): Exemption['allow'] {
  const allow = new Map<string, ReadonlySet<string>>();
  if (!isObject(written)) return allow;
  const exemptible = rules.filter(({ exemptibleValues }) => exemptibleValues !== undefined).map(({ id }) => id);
  const listed = `these can be exempted: ${exemptible.join(', ')}`;
  if (Object.keys(written).length === 0) problems.push(printProblem(path, `must list the values that it allows for each rule; ${listed}`));

  for (const [id, list] of Object.entries(written)) {
    if (!exemptible.includes(id)) {
      const problem = ruleById.has(id) ? 'cannot be exempted' : `is not a rule${didYouMean(id, exemptible)}`;
      problems.push(printProblem([...path, id], `${problem}; ${listed}`));
      continue;
    }
    const values = parseLevel(allowedValuesSchema, list, [...path, id], problems);
    if (values !== undefined) allow.set(id, new Set(values));
    for (const [index, value] of Array.isArray(list) ? list.entries() : []) {
      const problem = typeof value === 'string' ? problemOfValue(id, value) : undefined;
      if (problem !== undefined) problems.push(printProblem([...path, id, index], problem));
    }
  }
  return allow;
}

/** The problem of a value that the rule never asks for, so that the exemption would have no effect. */
function problemOfValue(rule: string, value: string): string | undefined {
  if (value.includes('*')) return 'must name one value: * is not a pattern here';
  if (rule === 'volume-types' && value.startsWith('hostPath') && !value.startsWith('hostPath:/')) {
    return 'must name the path on the node, as in hostPath:/dev/fuse';
  }
  if (rule === 'capabilities' && value !== normalizeCapability(value)) return `must be spelled ${normalizeCapability(value)}`;
  return undefined;
}
