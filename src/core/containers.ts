import { MOST_CONTAINERS, MOST_NAME } from './limits.ts';
import { matches } from './name-pattern.ts';
import { CONTAINER_LISTS, type Container, type ContainerList, type ContainerSpec, each, joinsRunningPod, type PodSpec } from './pod.ts';
import type { Terms } from './requirements.ts';

/** Lists a pod's containers, and which of them the grant applies to. The list ends with the first container above the limit. */
export function containersOf(spec: PodSpec, terms: Terms): Container[] {
  const containers: Container[] = [];
  const shared = spec.securityContext ?? undefined;
  for (const list of CONTAINER_LISTS) {
    const inherited = joinsRunningPod({ list }) ? shared : undefined;
    for (const [index, container] of each(spec[list]).entries()) {
      if (containers.length > MOST_CONTAINERS) return containers;
      const name = container.name?.slice(0, MOST_NAME) ?? '';
      containers.push({ list, index, name, spec: container, granted: isGranted(list, name, container, terms), inherited });
    }
  }
  return containers;
}

/** Capabilities without which `sudo apt-get install` fails, whatever else holds. */
export const SUDO_CAPABILITIES: readonly string[] = ['SETUID', 'SETGID', 'CHOWN', 'FOWNER', 'DAC_OVERRIDE'];

/**
 * Whether the container receives the grant. Only regular containers do; `none` also restricts sidecars among the init containers, because they
 * run as long as the pod. `grantTo` names the containers; without it every container that does not restrict itself receives the grant, so
 * that a sidecar that restricts itself keeps its restrictions.
 */
function isGranted(list: ContainerList, name: string, container: ContainerSpec, terms: Terms): boolean {
  if (terms.grant === 'none') return list === 'containers' || (list === 'initContainers' && container.restartPolicy === 'Always');
  if (list !== 'containers') return false;
  if (terms.grantTo !== undefined) return matches(terms.grantTo, name);
  return !restrictsItself(container, terms);
}

function restrictsItself({ securityContext, env }: ContainerSpec, { workspace, sysbox }: Terms): boolean {
  if (securityContext?.allowPrivilegeEscalation === false) return true;
  const { drop, add } = securityContext?.capabilities ?? {};
  if (!dropsAll(each(drop))) return false;
  // `drop: [ALL]` together with everything that the grant adds is how a grant is written, not a restriction.
  if (sysbox && workspace.sysboxMode === 'TRUE') return !each(env).some(({ name, value }) => name === SYSBOX_MODE && value === 'TRUE');
  const added = each(add).map(canonical);
  return !(workspace.capabilities ?? SUDO_CAPABILITIES).every((capability) => added.includes(capability));
}

/** What does not work in a container without the grant, for messages. */
export function lost({ grant }: Terms): string {
  return grant === 'containers' ? 'sudo, builds and nested containers' : 'sudo';
}

/** Whether Sysbox obeys a container's capabilities (FALSE), or gives its root all capabilities of the user namespace (TRUE). */
export const SYSBOX_MODE = 'SYSBOX_SYSCONT_MODE';

/** Runtimes treat `cap_sys_admin`, `CAP_SYS_ADMIN` and `SYS_ADMIN` as the same capability. */
export function canonical(capability: string): string {
  return capability.toUpperCase().replace(/^CAP_/, '');
}

export function dropsAll(drop: readonly string[]): boolean {
  return drop.some((capability) => canonical(capability) === 'ALL');
}
