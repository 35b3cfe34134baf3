import { bytesOf, quantityOf } from '../../core/quantity.ts';
import type { ClassFacts } from '../../live/facts.ts';
import { isHandlerOf, isOfOtherHypervisor, isOrdinary } from '../../live/handlers.ts';
import { missingLabelOf } from '../../live/scheduling.ts';
import { checkProfiles, LEFT_OUT, type Problem } from '../check.ts';
import { nodesProblem } from '../grouping.ts';
import { classesOf, classNamesOf, hasClass, printSelector, whyNotOn } from '../landings.ts';
import { isKata } from '../profiles.ts';

const titleOf = ({ name }: { readonly name: string }): string => `RuntimeClass ${name}`;

export const classThere = checkProfiles({
  id: 'class-there',
  summary: 'Each RuntimeClass of the profile exists.',
  reads: ['classes'],
  levels: ['error'],
  appliesTo: hasClass,
  run(profile, { classes }) {
    const missing = classNamesOf(profile).filter((name) => !classes.some((each) => each.name === name));
    return missing.map((name) => ({
      level: 'error',
      objects: [titleOf({ name })],
      message: `there is no RuntimeClass ${name}: the API server refuses every pod with it`,
      remedy: "Install the runtime with its RuntimeClass, or correct the profile's `runtimeClassName` and `runtimeClasses`.",
    }));
  },
});

export const classHandler = checkProfiles({
  id: 'class-handler',
  summary: 'The handler of each RuntimeClass has the name of the runtime that the profile means.',
  reads: ['classes'],
  levels: ['error', 'warning'],
  // The wall of userns needs no class: an ordinary runtime is right there.
  appliesTo: (profile) => hasClass(profile) && profile.backend.id !== 'userns',
  run(profile, { classes }) {
    const { id } = profile.backend;
    const found = classesOf(profile, classes);
    if (found.length === 0) return LEFT_OUT;
    return found.flatMap((each): Problem[] => {
      const remedy = `Create RuntimeClass ${each.name} again with the handler of ${id}: the handler of a class cannot be changed.`;
      const problem = (level: 'error' | 'warning', message: string): Problem[] => [{ level, objects: [titleOf(each)], message, remedy }];
      if (isOrdinary(each.handler)) {
        const handler = each.handler === '' ? 'the default handler' : `handler ${each.handler}`;
        return problem(
          'error',
          `RuntimeClass ${each.name} leads to ${handler}, which runs ordinary containers: pods of the profile run without their wall`,
        );
      }
      if (!isHandlerOf(id, each.handler) && each.handler !== each.name) {
        return problem(
          'warning',
          `RuntimeClass ${each.name} leads to handler ${each.handler}, whose name is not one of ${id}: what it runs is not known`,
        );
      }
      if (isOfOtherHypervisor(id, each.handler)) {
        return problem(
          'warning',
          `RuntimeClass ${each.name} leads to handler ${each.handler}, which has the name of another hypervisor than ${id}`,
        );
      }
      return [];
    });
  },
});

export const classSelector = checkProfiles({
  id: 'class-selector',
  summary: 'The node selector of each RuntimeClass matches nodes, and keeps pods from nodes without the handler.',
  reads: ['classes', 'nodes'],
  levels: ['error', 'warning'],
  appliesTo: hasClass,
  run(profile, { classes, nodes }) {
    const found = classesOf(profile, classes);
    if (found.length === 0) return LEFT_OUT;
    return found.flatMap((each): readonly Problem[] => {
      if (Object.keys(each.nodeSelector).length > 0) {
        if (nodes.length === 0 || nodes.some((node) => missingLabelOf(node, each.nodeSelector) === undefined)) return [];
        return [
          {
            level: 'error',
            objects: [titleOf(each)],
            message: `no node matches ${printSelector(each.nodeSelector)}, the node selector of RuntimeClass ${each.name}: pods with it stay Pending`,
            remedy: 'Install the runtime, whose installer labels nodes, or label the nodes that have it.',
          },
        ];
      }
      const open = nodes.filter((node) => whyNotOn(node, each) === undefined);
      return nodesProblem({
        level: 'warning',
        found: open.filter(({ handlers }) => handlers.size > 0 && !handlers.has(each.handler)),
        of: open.length,
        what: `do not have the handler of RuntimeClass ${each.name}, which has no scheduling.nodeSelector to keep its pods from them`,
        remedy: 'Add scheduling.nodeSelector with the label that the installer of the runtime gives to its nodes.',
      });
    });
  },
});

const MIB = 1024 ** 2;

/** What kata-deploy writes for each hypervisor: guests with less were killed. */
const LEAST_BYTES: ReadonlyMap<string, number> = new Map([
  ['kata-qemu', 320 * MIB],
  ['kata-clh', 130 * MIB],
  ['kata-fc', 130 * MIB],
]);

export const classOverhead = checkProfiles({
  id: 'class-overhead-size',
  summary: 'Each RuntimeClass of Kata counts the memory of the virtual machine itself.',
  reads: ['classes'],
  levels: ['warning'],
  appliesTo: isKata,
  run(profile, { classes }) {
    const found = classesOf(profile, classes);
    if (found.length === 0) return LEFT_OUT;
    const least = LEAST_BYTES.get(profile.backend.id) ?? 1;
    return found.flatMap((each): Problem[] => {
      const memory = memoryOf(each);
      if ((bytesOf(memory) ?? 0) >= least) return [];
      const has = memory === undefined ? 'no overhead.podFixed.memory' : `an overhead of ${String(memory)} of memory`;
      return [
        {
          level: 'warning',
          objects: [titleOf(each)],
          message: `RuntimeClass ${each.name} has ${has}: the node is overcommitted, and guests may be killed`,
          remedy: `Set overhead.podFixed.memory to ${quantityOf(Math.max(least, 130 * MIB))} or more, as kata-deploy does.`,
        },
      ];
    });
  },
});

const memoryOf = ({ podFixed }: ClassFacts): unknown =>
  podFixed !== undefined && Object.hasOwn(podFixed, 'memory') ? podFixed.memory : undefined;
