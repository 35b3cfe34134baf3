import { allOf, anyOf, type Cel, listAt, listOf, matchesAnyOf, not, quote, textAt } from './cel.ts';
import { MAX_CONTAINERS, MAX_NAME_CHARS } from './limits.ts';
import { matchesAny } from './name-pattern.ts';
import {
  CONTAINER_LISTS,
  type Container,
  type ContainerList,
  type ContainerSpec,
  joinsRunningPod,
  lastsAsLongAsPod,
  orEmpty,
  type PodSpec,
} from './pod.ts';
import { BASELINE_CAPABILITIES, type ProfileRequirements } from './requirements.ts';

/** Lists a pod's containers, and which of them the grant applies to. The list ends with the first container above the limit. */
export function containersOf(spec: PodSpec, requirements: ProfileRequirements): Container[] {
  const containers: Container[] = [];
  const shared = spec.securityContext ?? undefined;
  for (const list of CONTAINER_LISTS) {
    const inherited = joinsRunningPod({ list }) ? shared : undefined;
    for (const [index, container] of orEmpty(spec[list]).entries()) {
      if (containers.length > MAX_CONTAINERS) return containers;
      const name = container.name?.slice(0, MAX_NAME_CHARS) ?? '';
      containers.push({ list, index, name, spec: container, hasGrant: receivesGrant(list, name, container, requirements), inherited });
    }
  }
  return containers;
}

/** Capabilities without which sudo itself fails, and with it every grant. */
const CAPABILITIES_OF_SUDO: readonly string[] = ['SETUID', 'SETGID'];

/** Capabilities without which `sudo apt-get install` fails, whatever other capabilities the container has. */
export const SUDO_CAPABILITIES: readonly string[] = [...CAPABILITIES_OF_SUDO, 'CHOWN', 'FOWNER', 'DAC_OVERRIDE'];

/**
 * Whether the container receives the grant. `none` only restricts, so every container of every list receives it. Other grants are only for containers
 * that last as long as the pod. With `grantTo`, the containers that it names receive the grant. Without `grantTo`, each container that does not
 * restrict itself receives it: a sidecar that restricts itself keeps its restrictions.
 */
function receivesGrant(list: ContainerList, name: string, container: ContainerSpec, requirements: ProfileRequirements): boolean {
  if (requirements.grant === 'none') return true;
  if (!lastsAsLongAsPod({ list, spec: container })) return false;
  if (requirements.grantTo !== undefined) return matchesAny(requirements.grantTo, name);
  return !restrictsItself(container, requirements);
}

function restrictsItself({ securityContext, env }: ContainerSpec, { workspace, isSysbox }: ProfileRequirements): boolean {
  if (securityContext?.allowPrivilegeEscalation === false) return true;
  const { drop, add } = securityContext?.capabilities ?? {};
  const dropsSudo = findDroppedSudo(orEmpty(drop)) !== undefined;
  if (!dropsAll(orEmpty(drop)) && !dropsSudo) return false;
  // `drop: [ALL]` together with everything that the grant adds is how a grant is written, not a restriction.
  if (isSysbox && workspace.sysboxMode === 'TRUE') return !orEmpty(env).some(({ name, value }) => name === SYSBOX_MODE && value === 'TRUE');
  if (dropsSudo) return true;
  // A grant does not add back a capability that the author dropped by name.
  const [added, dropped] = [add, drop].map((written) => orEmpty(written).map(normalizeCapability)) as [string[], string[]];
  const listed = workspace.addedCapabilities ?? SUDO_CAPABILITIES;
  const isWritten = (capability: string): boolean => added.includes(capability) || dropped.includes(capability);
  return !listed.every(isWritten) || !listed.some((capability) => added.includes(capability));
}

/** Why this container does not have the grant, as text that follows "because"; undefined: it has the grant. */
export function whyWithoutGrant({ list, spec, hasGrant }: Container, { grant, grantTo }: ProfileRequirements): string | undefined {
  if (grant === 'none') return 'the grant is none';
  if (hasGrant) return undefined;
  if (!lastsAsLongAsPod({ list, spec }))
    return list === 'initContainers' ? 'it ends before the workspace starts' : 'it joins a running pod';
  return grantTo === undefined ? 'it restricts itself' : 'grantTo does not match its name';
}

/** Says that an init container will probably fail without a privilege, as text that follows the privilege; '' for other containers. */
export function lossOf({ list, spec }: Pick<Container, 'list' | 'spec'>): string {
  return list === 'initContainers' && !lastsAsLongAsPod({ list, spec }) ? ', and this init container will probably fail without it' : '';
}

/** What does not work in a container without the grant, for messages. */
export function whatStopsWorking({ grant }: ProfileRequirements): string {
  return grant === 'containers' ? 'sudo, builds and nested containers' : 'sudo';
}

/** Capabilities of the grant that engines which run through sudo do not need. NET_ADMIN is needed only for networks that an engine creates. */
const NOT_NEEDED: ReadonlySet<string> = new Set(['AUDIT_WRITE', 'MKNOD', 'NET_ADMIN']);

/**
 * What does not work without a capability; undefined: everything worked. This was found by leaving out one capability at a time. Engines that run
 * through sudo use capabilities of the pod only if the grant lists SYS_ADMIN. Otherwise they create a user namespace, in which they have all
 * capabilities.
 */
export function whatNeeds(capability: string, requirements: ProfileRequirements): string | undefined {
  if (CAPABILITIES_OF_SUDO.includes(capability)) return whatStopsWorking(requirements);
  if (SUDO_CAPABILITIES.includes(capability)) return '`sudo apt-get install`';
  const listed = requirements.workspace.addedCapabilities ?? [];
  const isNeeded = listed.includes('SYS_ADMIN') && listed.includes(capability) && !NOT_NEEDED.has(capability);
  return isNeeded ? 'builds through sudo' : undefined;
}

/** Whether Sysbox obeys a container's capabilities (FALSE), or gives its root all capabilities of the user namespace (TRUE). */
export const SYSBOX_MODE = 'SYSBOX_SYSCONT_MODE';

const BASELINE: ReadonlySet<string> = new Set(BASELINE_CAPABILITIES);

/** Runtimes treat `cap_sys_admin`, `CAP_SYS_ADMIN` and `SYS_ADMIN` as the same capability. */
export function normalizeCapability(capability: string): string {
  // Fast path: most are written so.
  if (BASELINE.has(capability)) return capability;
  return capability.toUpperCase().replace(/^CAP_/, '');
}

/** The index of the first capability that is dropped by its name although sudo fails without it. */
export function findDroppedSudo(drop: readonly string[]): number | undefined {
  const index = drop.findIndex((capability) => CAPABILITIES_OF_SUDO.includes(normalizeCapability(capability)));
  return index === -1 ? undefined : index;
}

export function dropsAll(drop: readonly string[]): boolean {
  return drop.some((capability) => normalizeCapability(capability) === 'ALL');
}

/** `receivesGrant` in CEL: the names of the containers of a pod that receive the grant. */
export function namesWithGrantCel(spec: Cel, containers: Cel, requirements: ProfileRequirements): Cel {
  if (requirements.grant === 'none') return `${containers}.map(c, c.name)`;
  const lasting = `(${listAt(spec, 'containers')} + ${listAt(spec, 'initContainers')}.filter(c, ${textAt('c', 'restartPolicy')} == 'Always'))`;
  const isWorkspace =
    requirements.grantTo === undefined ? not(restrictsItselfCel(requirements)) : matchesAnyOf('c.name', requirements.grantTo);
  return `${lasting}.filter(c, ${isWorkspace}).map(c, c.name)`;
}

/** `restrictsItself` in CEL, of the container `c`. */
function restrictsItselfCel({ workspace, isSysbox }: ProfileRequirements): Cel {
  const [drop, add] = [listAt('c', 'securityContext.capabilities.drop'), listAt('c', 'securityContext.capabilities.add')];
  const dropsAll = writesCapability(drop, quote('ALL'));
  const dropsSudo = `${drop}.exists(d, ${normalizeCapabilityCel('d')} in ${listOf(CAPABILITIES_OF_SUDO)})`;
  const asksForMode = `${listAt('c', 'env')}.exists(e, e.name == ${quote(SYSBOX_MODE)} && ${textAt('e', 'value')} == 'TRUE')`;
  const listed = listOf(workspace.addedCapabilities ?? SUDO_CAPABILITIES);
  // The first condition is a shortcut for what the repair writes.
  const isWritten = anyOf(
    `sets.contains(${add}, ${listed})`,
    `(${listed}.all(l, ${writesCapability(`(${add} + ${drop})`, 'l')}) && ${listed}.exists(l, ${writesCapability(add, 'l')}))`,
  );
  const isRestriction =
    isSysbox && workspace.sysboxMode === 'TRUE'
      ? allOf(anyOf(dropsAll, dropsSudo), not(asksForMode))
      : anyOf(dropsSudo, allOf(dropsAll, not(isWritten)));
  return anyOf(not(`c.?securityContext.?allowPrivilegeEscalation.orValue(true)`), isRestriction);
}

/** `normalizeCapability` in CEL, which knows only ASCII: the first character of the pattern is the one that both read as an S. */
export function normalizeCapabilityCel(capability: Cel): Cel {
  const upper = `${capability}.replace('\u017f', 'S').upperAscii()`;
  return `(${upper}.startsWith('CAP_') ? ${upper}.substring(4) : ${upper})`;
}

/** In CEL: whether a list of capabilities has one, however it is spelled. */
export const writesCapability = (list: Cel, capability: Cel): Cel => `${list}.exists(a, ${normalizeCapabilityCel('a')} == ${capability})`;
