import { dropsAll, normalizeCapability, SUDO_CAPABILITIES, whatStopsWorking } from '../containers.ts';
import { excerptOf } from '../excerpt.ts';
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
 * Fix: complete both lists. A container that drops what the grant needs is not changed, unless `grantTo` names it.
 */
export const capabilityGrant: Rule = {
  id: 'capability-grant',
  summary: 'Workspace containers hold the capabilities that their grant lists.',
  fields: ['spec.containers[*].securityContext.capabilities.drop', 'spec.containers[*].securityContext.capabilities.add'],
  checkContainer(container, report, { requirements }) {
    const { spec, hasGrant } = container;
    if (hasGrant) return checkGrantedCapabilities(spec, requirements, report);
    const { capabilities, allowPrivilegeEscalation } = spec.securityContext ?? {};
    if (
      !lastsAsLongAsPod(container) ||
      requirements.grantTo !== undefined ||
      allowPrivilegeEscalation === false ||
      !dropsAll(orEmpty(capabilities?.drop))
    )
      return;
    const message = `the container drops ALL capabilities, so it stays without ${whatStopsWorking(requirements)}`;
    report({ path: DROP, message, remedy: 'remove that line if this container is the workspace', kind: 'promise' });
  },
};

function checkGrantedCapabilities({ securityContext }: ContainerSpec, requirements: ProfileRequirements, report: Reporter): void {
  const { addedCapabilities: listed, mustDropAll } = requirements.workspace;
  const drop = orEmpty(securityContext?.capabilities?.drop);
  const held = orEmpty(securityContext?.capabilities?.add).map(normalizeCapability);

  if (requirements.grant !== 'none') checkDropped(listed ?? SUDO_CAPABILITIES, drop, held, requirements, report);
  if ((mustDropAll || listed !== undefined) && !drop.includes('ALL')) {
    const kind = mustDropAll ? 'escape' : 'promise';
    report({ path: DROP, message: 'capabilities are left to the runtime', remedy: 'drop ALL', fix: { append: ['ALL'] }, kind });
  }
  const missing = (listed ?? []).filter((capability) => !held.includes(capability));
  if (missing.length > 0)
    report({ path: ADD, message: `capabilities ${missing.join(', ')} are missing`, fix: { append: missing }, kind: 'promise' });
}

/** A capability that is dropped by its name is lost even if it is added. `ALL` drops only what is not added. */
function checkDropped(
  needed: readonly string[],
  drop: readonly string[],
  held: readonly string[],
  requirements: ProfileRequirements,
  report: Reporter,
): void {
  const losesToAll = requirements.workspace.addedCapabilities === undefined && needed.some((capability) => !held.includes(capability));
  for (const [index, written] of drop.entries()) {
    const capability = normalizeCapability(written);
    if (!needed.includes(capability) && !(capability === 'ALL' && losesToAll)) continue;
    const found = {
      path: [...DROP, index],
      message: `the container drops ${excerptOf(written)}, without which ${whatStopsWorking(requirements)} will not work`,
      kind: 'promise',
    } as const;
    report(
      requirements.grantTo === undefined
        ? { ...found, remedy: 'remove that entry if this container is the workspace' }
        : { ...found, fix: REMOVE },
    );
  }
}
