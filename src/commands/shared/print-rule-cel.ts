import type { Cel } from '../../core/cel.ts';
import type { Profile } from '../../core/profiles/profile.ts';
import { nodeName } from '../../core/rules/node-name.ts';
import type { Rule } from '../../core/rules/rule.ts';
import type { CelStep, Change, ForSome, Pods, RuleCel, RuleRefusal, RuleRepair, UsedVariable } from '../../in-tree/rule-cel.ts';
import { printCel } from './terminal-cel.ts';
import { printPage } from './terminal-page.ts';

/**
 * One rule as the policies of a profile contain it, for a terminal.
 * @param origin where the profile comes from
 * @param width of a line, in characters
 */
export function printRuleCel(
  { policy, refusal, repair }: RuleCel,
  { rule, profile, origin, width }: { readonly rule: Rule; readonly profile: Profile; readonly origin: string; readonly width: number },
): string {
  const sentence = (text: string): string => printPage(text, width);
  const expression = (cel: Cel, depth: number): string => {
    const margin = ' '.repeat(depth);
    return printCel(cel, width - depth).replaceAll(/^/gm, margin);
  };
  return [
    sentence(`The rule ${rule.id} in CEL, for pods of the profile ${profile.id}, which grants ${profile.grant} (from ${origin}).`),
    sentence(rule.summary),
    ...printRefusal(refusal),
    ...printRepair(repair),
  ]
    .join('\n\n')
    .concat('\n');

  function printRefusal({ variable, pod, container, uses }: RuleRefusal): readonly string[] {
    if (rule.inTree === 'no escape') {
      return [
        sentence(
          'Refusal: none. The rule has no CEL that refuses a pod, because nothing that it finds is an escape. It only warns or repairs.',
        ),
      ];
    }
    const parts = [...pod.map((each) => ['Pod', each] as const), ...container.map((each) => ['Containers', each] as const)];
    if (parts.every(([, { cel }]) => cel === undefined)) {
      return [
        sentence('Refusal: none. The rule finds no escape in pods of this profile, so the policy of the profile does not contain it.'),
      ];
    }
    return [
      sentence(
        `Refusal: the ValidatingAdmissionPolicy ${policy}, which is in the cluster unless the configuration says \`backstop: false\`` +
          `${repair === undefined ? '' : ', and which `cloister manifests --in-tree` prints too'}. Each expression below makes a list of texts, one for ` +
          `each finding. A pod for which a list is not empty is refused, with these texts. The variable ${variable} of the policy contains the lists. On an ` +
          `update, old_${variable} contains the same lists for the pod before the update, and only a text that is new refuses the update` +
          `${rule.id === nodeName.id ? '' : ', or any text if the update adds a container, changes an image or removes the last scheduling gate'}.`,
      ),
      ...parts.map(([of, each]) => printPart(of, each)),
      ...printVariables(uses),
    ];
  }

  function printPart(of: string, { pods, cel }: ForSome): string {
    const heading = `${of}${printPods(pods)}: `;
    return cel === undefined ? sentence(`${heading}nothing is refused.`) : `${sentence(heading.trimEnd())}\n${expression(cel, 2)}`;
  }

  function printRepair(repaired: RuleRepair | undefined): readonly string[] {
    if (repaired === undefined) return [sentence('Repair: only the webhook repairs pods of this profile. Policies repair pods of userns.')];
    const { changes, uses } = repaired;
    if (changes.length === 0) return [sentence('Repair: none. The rule has no CEL that changes a pod of this profile.')];
    return [
      sentence(`Repair: the MutatingAdmissionPolicy ${policy}, which \`cloister manifests --in-tree\` prints, changes new pods.`),
      ...changes.map(printChange),
      ...printVariables(uses),
    ];
  }

  function printChange({ of, path, pods, steps, alsoChangedBy }: Change): string {
    const too = alsoChangedBy.length === 0 ? '' : `, which ${alsoChangedBy.join(' and ')} may change too`;
    const heading = `${of === 'pod' ? 'Pod' : 'Containers'}${printPods(pods)}: ${path}${too}`;
    return [sentence(heading), ...steps.map(printStep)].join('\n');
  }

  function printStep({ where, effect, key, cel }: CelStep): string {
    const then = {
      remove: 'remove it',
      set: 'set it to',
      add: 'add the elements',
      'remove elements': 'remove each element',
      'remove keys': `remove ${key} of each element`,
    }[effect];
    const isOfElements = effect === 'remove elements' || effect === 'remove keys';
    const which = isOfElements && cel !== 'true' ? ', at index, for which' : '';
    const lines = cel === undefined || (isOfElements && cel === 'true') ? [] : [expression(cel, 4)];
    return ['  where', expression(where, 4), `  ${then}${which}`, ...lines].join('\n');
  }

  function printVariables(uses: readonly UsedVariable[]): readonly string[] {
    return uses.length === 0 ? [] : [`Variables that they use:\n${uses.map(printVariable).join('\n')}`];
  }

  function printVariable({ name, meaning, expression: cel }: UsedVariable): string {
    const long = cel === undefined ? ', by a long expression that is the same for every rule' : '';
    const heading = `  ${name}${meaning === undefined ? '' : `: ${meaning}${long}`}`;
    return cel === undefined ? sentence(heading) : `${sentence(heading)}\n${expression(cel, 4)}`;
  }
}

function printPods(pods: Pods): string {
  if (pods === 'all') return '';
  const { grants, includesUnisolated } = pods;
  const kinds = [
    ...(grants.length === 0 ? [] : [`of pods with the grant ${grants.join(' or ')}`]),
    ...(includesUnisolated ? ['of stored pods that are not isolated'] : []),
  ];
  return `, ${kinds.join(', and ')}`;
}
