import { allOf, anyOf, type Cel, listAt, listOf, not, quote } from '../cel.ts';
import {
  dropsAll,
  findDroppedSudo,
  normalizeCapability,
  normalizeCapabilityCel,
  SUDO_CAPABILITIES,
  whatNeeds,
  whatStopsWorking,
  writesCapability,
} from '../containers.ts';
import { excerptOf } from '../excerpt.ts';
import type { CelFix } from '../in-tree.ts';
import { type ContainerSpec, lastsAsLongAsPod, orEmpty } from '../pod.ts';
import type { ProfileRequirements } from '../requirements.ts';
import { REMOVE, type Reporter, type Rule } from './rule.ts';

const DROP = ['securityContext', 'capabilities', 'drop'];
const ADD = ['securityContext', 'capabilities', 'add'];

/**
 * A grant that lists capabilities writes `drop: [ALL]` and adds each of them, because runtimes differ in their default capabilities. `none`
 * under Kata and Sysbox drops all of them: there no_new_privs alone does not keep a process from sudo.
 *
 * Fields: spec.containers[*].securityContext.capabilities.drop, and add as far as the grant lists it
 * Allowed: anything that leaves the grant in effect
 * Fix: complete both lists. A capability that the container drops by name is not added: the runtime drops it even if `add` lists it. If `grantTo`
 * names the container, such entries are removed from `drop`.
 */
export const capabilityGrant: Rule = {
  id: 'capability-grant',
  summary: 'Workspace containers hold the capabilities that their grant lists.',
  fields: ['spec.containers[*].securityContext.capabilities.drop', 'spec.containers[*].securityContext.capabilities.add'],
  checkContainer(container, report, { requirements }) {
    const { spec, hasGrant } = container;
    if (hasGrant) return checkGrantedCapabilities(spec, requirements, report);
    const { capabilities, allowPrivilegeEscalation } = spec.securityContext ?? {};
    if (!lastsAsLongAsPod(container) || requirements.grantTo !== undefined || allowPrivilegeEscalation === false) return;
    const drop = orEmpty(capabilities?.drop);
    const dropped = findDroppedSudo(drop);
    const rest = `so it stays without ${whatStopsWorking(requirements)}`;
    if (dropped !== undefined) {
      const message = `the container drops ${excerptOf(drop[dropped] ?? '')}, ${rest}`;
      report({ path: [...DROP, dropped], message, remedy: 'remove that entry if this container is the workspace', kind: 'promise' });
    } else if (dropsAll(drop)) {
      const message = `the container drops ALL capabilities, ${rest}`;
      report({ path: DROP, message, remedy: 'remove that line if this container is the workspace', kind: 'promise' });
    }
  },
  inTree: {
    container: ({ hasGrant }, { workspace }) =>
      workspace.mustDropAll
        ? [
            {
              where: `${hasGrant} && !('ALL' in ${listAt('c', 'securityContext.capabilities.drop')})`,
              says: quote('capabilities are not set, so the runtime chooses them'),
              remedy: quote('drop ALL'),
            },
          ]
        : [],
  },
  inTreeFixes: {
    container({ hasGrant }, { grant, grantTo, workspace: { addedCapabilities: listed, mustDropAll } }) {
      const [drop, add] = [listAt('c', 'securityContext.capabilities.drop'), listAt('c', 'securityContext.capabilities.add')];
      const wanted = listed ?? SUDO_CAPABILITIES;
      const losesToAll = listed === undefined ? `!${listOf(wanted)}.all(w, ${writesCapability(add, 'w')})` : 'false';
      const isLost = (d: Cel): Cel =>
        anyOf(`${normalizeCapabilityCel(d)} in ${listOf(wanted)}`, allOf(`${normalizeCapabilityCel(d)} == 'ALL'`, losesToAll));
      const isMissing = anyOf(writesCapability(add, 'w'), grantTo === undefined ? writesCapability(drop, 'w') : 'false');
      const dropping: readonly CelFix[] =
        grantTo === undefined || grant === 'none'
          ? []
          : [
              {
                path: 'securityContext.capabilities.drop',
                where: allOf(hasGrant, `${drop}.exists(d, ${isLost('d')})`),
                edit: (found) => `${found}.filter(d, ${not(isLost('d'))})`,
              },
            ];
      const dropsAll: readonly CelFix[] = [
        {
          path: 'securityContext.capabilities.drop',
          where: allOf(hasGrant, `!('ALL' in ${drop})`),
          set: (found) => `${found} + ['ALL']`,
        },
      ];
      const adding: readonly CelFix[] = [
        {
          path: 'securityContext.capabilities.add',
          where: allOf(hasGrant, `!${listOf(wanted)}.all(w, ${isMissing})`),
          set: (found) => `${found} + ${listOf(wanted)}.filter(w, ${not(isMissing)})`,
        },
      ];
      return [...dropping, ...(mustDropAll || listed !== undefined ? dropsAll : []), ...(listed === undefined ? [] : adding)];
    },
  },
};

function checkGrantedCapabilities({ securityContext }: ContainerSpec, requirements: ProfileRequirements, report: Reporter): void {
  const { addedCapabilities: listed, mustDropAll } = requirements.workspace;
  const drop = orEmpty(securityContext?.capabilities?.drop);
  const held = orEmpty(securityContext?.capabilities?.add).map(normalizeCapability);

  if (requirements.grant !== 'none') checkDropped(listed ?? SUDO_CAPABILITIES, drop, held, requirements, report);
  if ((mustDropAll || listed !== undefined) && !drop.includes('ALL')) {
    const kind = mustDropAll ? 'escape' : 'promise';
    report({
      path: DROP,
      message: 'capabilities are not set, so the runtime chooses them',
      remedy: 'drop ALL',
      fix: { append: ['ALL'] },
      kind,
    });
  }
  const dropped = requirements.grantTo === undefined ? drop.map(normalizeCapability) : [];
  const missing = (listed ?? []).filter((capability) => !held.includes(capability) && !dropped.includes(capability));
  if (missing.length > 0)
    report({ path: ADD, message: `capabilities ${missing.join(', ')} are missing`, fix: { append: missing }, kind: 'promise' });
}

/** A capability that is dropped by its name is lost even if it is added. `ALL` drops only what is not added. */
function checkDropped(
  listed: readonly string[],
  drop: readonly string[],
  held: readonly string[],
  requirements: ProfileRequirements,
  report: Reporter,
): void {
  const losesToAll = requirements.workspace.addedCapabilities === undefined && listed.some((capability) => !held.includes(capability));
  const isNamed = requirements.grantTo !== undefined;
  const reported = new Set<string>();
  for (const [index, written] of drop.entries()) {
    const capability = normalizeCapability(written);
    const cost = capability === 'ALL' && losesToAll ? whatStopsWorking(requirements) : whatNeeds(capability, requirements);
    const isLost = isNamed ? listed.includes(capability) || (capability === 'ALL' && losesToAll) : cost !== undefined;
    if (!isLost || (!isNamed && reported.has(capability))) continue;
    reported.add(capability);
    const loss = cost === undefined ? 'which the grant lists' : `without which ${cost} will not work`;
    const message = `the container drops ${excerptOf(written)}, ${loss}`;
    const change = isNamed ? { fix: REMOVE } : { remedy: 'remove that entry if this container is the workspace' };
    report({ path: [...DROP, index], message, ...change, kind: 'promise' });
  }
}
