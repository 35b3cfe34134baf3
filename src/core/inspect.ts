import { containersOf } from './containers.ts';
import type { ActiveExemptions } from './exemptions.ts';
import { MAX_ESCAPES, MAX_ESCAPES_CHARS, MAX_NAME_CHARS, MAX_OTHER_FINDINGS, MAX_OTHER_FINDINGS_CHARS } from './limits.ts';
import { type Path, valueAt } from './path.ts';
import { CONTAINER_LISTS, type Container, type ContainerList, orEmpty, type Pod, specOf } from './pod.ts';
import { printable } from './printable.ts';
import type { ProfileRequirements } from './requirements.ts';
import { rules } from './rules/index.ts';
import { type Excess, makeSizeFinding } from './rules/pod-size.ts';
import type { Finding, RuleContext, RuleFinding } from './rules/rule.ts';

const podRules = rules.filter((rule) => rule.checkPod !== undefined);
const containerRules = rules.filter((rule) => rule.checkContainer !== undefined);

/** The part of the context of a rule that the caller provides: `inspect` derives the rest from the pod and the profile. */
type Circumstances = Omit<RuleContext, 'requirements' | 'containers' | 'exempts'> & Pick<ActiveExemptions, 'exempts'>;

/**
 * Runs all rules over the pod in one pass.
 * @param at path of the pod in its document; findings' paths start with it
 * @returns findings in reading order: those of the pod, then container by container
 */
export function inspect(pod: Pod, at: Path, requirements: ProfileRequirements, circumstances: Circumstances): Finding[] {
  const containers = containersOf(specOf(pod), requirements);
  const findings: Finding[] = [];

  // One reporter and one context for all rules: closures for each rule and container would cost more than the rules.
  let rule = '';
  let container: Container | undefined;
  const exempts = (value: string, name: string | null | undefined = container?.name): boolean =>
    circumstances.exempts(rule, value, name ?? undefined);
  const context: RuleContext = { ...circumstances, requirements, containers, exempts };
  let excess: Excess | undefined;
  const escapes: Budget = { findings: MAX_ESCAPES, chars: MAX_ESCAPES_CHARS };
  const others: Budget = { findings: MAX_OTHER_FINDINGS, chars: MAX_OTHER_FINDINGS_CHARS };
  const report = (found: RuleFinding): void => {
    if (excess !== undefined) return;
    const inPod = container === undefined ? found.path : ['spec', container.list, container.index, ...found.path];
    const path = at.length === 0 ? inPod : [...at, ...inPod];
    // Messages quote text of the pod's author, which may contain control characters.
    const message = printable(found.message);
    const kind = found.kind ?? 'escape';
    const budget = kind === 'escape' ? escapes : others;
    budget.findings -= 1;
    budget.chars -= message.length + charsOf(path);
    if (budget.findings < 0 || budget.chars < 0) {
      excess = budget === others ? 'others' : budget.findings < 0 ? 'escapes' : 'text';
      return;
    }
    // One literal with all fields: spreads would cost a fifth of judging a pod with 20 findings.
    findings.push({
      rule,
      kind,
      path,
      container: container === undefined ? nameOfContainerAt(inPod, pod) : container.name,
      isWritten: valueAt(pod, inPod) == null ? undefined : true,
      message,
      remedy: found.remedy,
      exemption: found.exemption,
      fix: found.fix,
      also: at.length === 0 ? found.also : found.also?.map((each) => ({ ...each, path: [...at, ...each.path] })),
    });
  };

  for (const each of podRules) {
    rule = each.id;
    each.checkPod?.(pod, report, context);
  }
  for (container of containers) {
    if (excess !== undefined) break;
    for (const each of containerRules) {
      rule = each.id;
      each.checkContainer?.(container, report, context, pod);
    }
  }
  // Stands for all further findings. A pod that was not judged completely is rejected, not repaired.
  if (excess !== undefined) findings.push(makeSizeFinding(excess, at));
  return findings;
}

/** How much may still be reported. */
interface Budget {
  findings: number;
  chars: number;
}

/** The name of the container that a path of the pod leads into. */
function nameOfContainerAt([spec, list, index]: Path, pod: Pod): string | undefined {
  if (spec !== 'spec' || typeof index !== 'number' || !CONTAINER_LISTS.some((each) => each === list)) return undefined;
  return orEmpty(specOf(pod)[list as ContainerList])[index]?.name?.slice(0, MAX_NAME_CHARS) ?? '';
}

/** A step may be a key of any length; an index counts as one character. */
function charsOf(path: Path): number {
  let chars = 0;
  for (const step of path) chars += typeof step === 'number' ? 1 : step.length;
  return chars;
}
