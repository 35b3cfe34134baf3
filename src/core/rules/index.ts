import { antiAffinity } from './anti-affinity.ts';
import { apparmor } from './apparmor.ts';
import { blockDevices } from './block-devices.ts';
import { capabilities } from './capabilities.ts';
import { capabilityGrant } from './capability-grant.ts';
import { dnsPolicy } from './dns-policy.ts';
import { extendedResources } from './extended-resources.ts';
import { gracePeriod } from './grace-period.ts';
import { hostNamespaces } from './host-namespaces.ts';
import { hostPorts } from './host-ports.ts';
import { hugePages } from './huge-pages.ts';
import { imageStorage } from './image-storage.ts';
import { mappedVolumes } from './mapped-volumes.ts';
import { mirrorPod } from './mirror-pod.ts';
import { mountPropagation } from './mount-propagation.ts';
import { nodeName } from './node-name.ts';
import { nodeSelection } from './node-selection.ts';
import { overhead } from './overhead.ts';
import { podLabels } from './pod-labels.ts';
import { podSize } from './pod-size.ts';
import { priorityClass } from './priority-class.ts';
import { privilegeEscalation } from './privilege-escalation.ts';
import { privileged } from './privileged.ts';
import { probeHosts } from './probe-hosts.ts';
import { procMount } from './proc-mount.ts';
import { resourceClaims } from './resource-claims.ts';
import { rootfulEngine } from './rootful-engine.ts';
import type { Rule } from './rule.ts';
import { runtimeAnnotations } from './runtime-annotations.ts';
import { runtimeClass } from './runtime-class.ts';
import { seccomp } from './seccomp.ts';
import { selinux } from './selinux.ts';
import { serviceAccountToken } from './service-account-token.ts';
import { sysboxMode } from './sysbox-mode.ts';
import { sysctls } from './sysctls.ts';
import { tolerations } from './tolerations.ts';
import { unknownFields } from './unknown-fields.ts';
import { userIds } from './user-ids.ts';
import { userNamespace } from './user-namespace.ts';
import { volumeTypes } from './volume-types.ts';
import { windows } from './windows.ts';
import { workspaceContainer } from './workspace-container.ts';

/** All rules, in reading order: who asks, the wall, what joins the node, what a container holds, what it touches, where it runs. */
export const rules: readonly Rule[] = [
  podSize,
  podLabels,
  mirrorPod,
  userNamespace,
  runtimeClass,
  overhead,
  hostNamespaces,
  dnsPolicy,
  hostPorts,
  privileged,
  workspaceContainer,
  rootfulEngine,
  privilegeEscalation,
  capabilities,
  capabilityGrant,
  seccomp,
  apparmor,
  selinux,
  procMount,
  sysboxMode,
  userIds,
  sysctls,
  unknownFields,
  volumeTypes,
  blockDevices,
  hugePages,
  mappedVolumes,
  mountPropagation,
  imageStorage,
  serviceAccountToken,
  extendedResources,
  resourceClaims,
  runtimeAnnotations,
  probeHosts,
  nodeName,
  nodeSelection,
  tolerations,
  antiAffinity,
  priorityClass,
  gracePeriod,
  windows,
];

export const ruleById: ReadonlyMap<string, Rule> = new Map(rules.map((rule) => [rule.id, rule]));
