import { BASELINE } from './baseline.ts';
import type { Doc, Setting } from './hostile-pods.ts';

/** The namespace of every generated pod. */
export const NAMESPACE = 'team-a';

/** The profile that a pod may choose where its setting says so. */
const OTHER: Setting = { id: 'other', backend: 'userns', grant: 'sudo' };

/**
 * What must not be true of a pod that was let through, as plain predicates on JSON. Written from the product's promises and Kubernetes'
 * Pod Security Standards; it shares no code and no list with the source.
 */
export function wrongsOf(pod: Doc, setting: Setting): string[] {
  const chosen = chosenBy(pod, setting);
  const asked = askedProfile(pod);
  const grant = grantOf(pod, setting);
  return [
    ...(asked === undefined || asked === (chosen.id ?? 'own') ? [] : ['a profile that may not be chosen']),
    ...(grant === undefined ? ['a grant that may not be asked for'] : []),
    ...(hasWall(pod, chosen) ? [] : ['the wall does not stand']),
    ...wrongsUnder(pod, { ...chosen, grant: grant ?? 'none' }),
  ];
}

/**
 * What is wrong with a pod after an update, and was not before; everything that is wrong, where the update makes the pod run something. Labels
 * are read from the old pod, whose wall decides what grants count; as many of each count as there are more.
 */
export function newWrongsOf(pod: Doc, old: Doc, setting: Setting): string[] {
  const chosen = chosenBy(old, setting);
  const walled = hasWall(old, chosen);
  const terms: Terms = { ...chosen, isUpdate: true, isUnwalled: !walled, grant: walled ? (grantOf(old, setting) ?? chosen.grant) : 'none' };
  const wall = (each: Doc): string[] => (hasWall(each, chosen) ? [] : ['the wall does not stand']);
  const now = [...wall(pod), ...wrongsUnder(pod, terms)];
  // The scheduler writes the node of a pod that runs.
  if (getsProgram(pod, old) || isReleased(pod, old)) {
    return now.filter((each) => each !== 'nodeName' || text(map(old.spec).nodeName) === '');
  }
  const before = [...wall(old), ...wrongsUnder(old, terms)].map(withoutValue);
  return now.filter((each) => {
    const at = before.indexOf(withoutValue(each));
    if (at !== -1) before.splice(at, 1);
    return at === -1;
  });
}

/** Whether some list of containers has one more, or one with another image, by name. */
export function getsProgram(pod: Doc, old: Doc): boolean {
  return ['initContainers', 'containers', 'ephemeralContainers'].some((kind) => {
    const programs = (each: Doc): string[] => list(map(each.spec)[kind]).map((one) => `${map(one).image} as ${map(one).name}`);
    const left = programs(old);
    return programs(pod).some((each) => {
      const at = left.indexOf(each);
      if (at !== -1) left.splice(at, 1);
      return at === -1;
    });
  });
}

const gatesOf = (pod: Doc): readonly unknown[] => list(map(pod.spec).schedulingGates);
const isReleased = (pod: Doc, old: Doc): boolean => gatesOf(old).length > 0 && gatesOf(pod).length === 0;

/** What an update may not do to a pod whose profile is not known: run something, start, or choose nodes. */
export function isConsequential(pod: Doc, old: Doc): boolean {
  const placement = (each: Doc): string => {
    const { nodeSelector, affinity, tolerations } = map(each.spec);
    const chosen = list(tolerations).filter((one) => !/^node\.kubernetes\.io\/(not-ready|unreachable)$/.test(text(map(one).key)));
    return JSON.stringify([nodeSelector ?? {}, affinity ?? {}, chosen]);
  };
  return getsProgram(pod, old) || gatesOf(pod).length < gatesOf(old).length || placement(pod) !== placement(old);
}

/** A field that was wrong may be wrong in another way; the API server lets few of them change at all. */
const withoutValue = (wrong: string): string => wrong.replace(/^(seccomp|AppArmor) .*(?= of )/s, '$1');

/** The setting that counts for a pod: its own label may choose. */
export function chosenBy(pod: Doc, setting: Setting): Setting {
  const asked = askedProfile(pod);
  if (asked !== OTHER.id || setting.mayChoose?.includes('other') !== true) return setting;
  const { exempt, exemptIn } = setting;
  return { ...OTHER, ...(exempt === undefined ? {} : { exempt }), ...(exemptIn === undefined ? {} : { exemptIn }) };
}

function askedProfile(pod: Doc): unknown {
  const labels = map(map(pod.metadata).labels);
  return Object.hasOwn(labels, 'cloister.dev/profile') ? labels['cloister.dev/profile'] : undefined;
}

/** A setting whose grant is settled. Without its wall a pod may do what Pod Security baseline lets any pod do, and no more. */
interface Terms extends Setting {
  readonly isUnwalled?: boolean;
  /** Whether the pod exists, so that its network plugin may write what it assigned. */
  readonly isUpdate?: boolean;
}

function wrongsUnder(pod: Doc, setting: Terms): string[] {
  const found: string[] = [];
  const wrong = (isWrong: boolean, what: string): void => void (isWrong && found.push(what));
  const spec = map(pod.spec);
  const annotations = map(map(pod.metadata).annotations);
  const exempt = (rule: string, value: string): boolean => isExempt(rule, value, setting);

  for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) wrong(spec[field] === true, field);
  wrong(text(spec.nodeName) !== '', 'nodeName');
  wrong(text(spec.priorityClassName).startsWith('system-') || Number(spec.priority ?? 0) > 1e9, 'priority of the system');
  wrong(!['', 'linux'].includes(text(map(spec.os).name)), 'os');
  wrong(
    list(spec.resourceClaims).some((claim) => {
      const { resourceClaimName, resourceClaimTemplateName } = map(claim);
      return !exempt('resource-claims', text(resourceClaimName ?? resourceClaimTemplateName));
    }),
    'resourceClaims',
  );
  // What the class of the pod brings, the pod may have.
  const hasClass = text(spec.runtimeClassName) !== '' && setting.isUnwalled !== true;
  const brought = hasClass ? setting.runtimeClassScheduling : undefined;
  for (const toleration of list(spec.tolerations).map(map)) {
    const isBrought = brought?.tolerations.some((each) => TOLERATION_FIELDS.every((field) => isSame(each[field], toleration[field])));
    wrong(isBrought !== true && isDeniedToleration(toleration, setting), `toleration of ${toleration.key}`);
  }
  for (const [key, value] of Object.entries(map(spec.nodeSelector))) {
    const isBrought = brought !== undefined && Object.hasOwn(brought.nodeSelector, key) && brought.nodeSelector[key] === value;
    wrong(!isBrought && asksForNode(key, [value], setting), `nodeSelector ${key}`);
  }
  for (const { key, operator, values } of expressions(map(map(spec.affinity).nodeAffinity))) {
    const asked = operator === 'In' ? list(values) : undefined;
    wrong(operator !== 'NotIn' && operator !== 'DoesNotExist' && asksForNode(text(key), asked, setting), `node affinity to ${key}`);
  }
  for (const { namespaces, namespaceSelector } of list(
    map(map(spec.affinity).podAntiAffinity).requiredDuringSchedulingIgnoredDuringExecution,
  ).map(map)) {
    const isWide = namespaceSelector != null || list(namespaces).some((each) => each !== NAMESPACE);
    wrong(isWide && setting.antiAffinity !== 'all-namespaces', 'anti-affinity to other namespaces');
  }
  wrong(isSlow(spec, setting), 'grace period');
  wrong(list(spec.evictionResponders).length > 0, 'eviction responders');
  for (const volume of list(spec.volumes).map(map)) wrongsOfVolume(volume, setting, wrong);
  for (const key of Object.keys(annotations)) {
    wrong(key.startsWith('kubernetes.io/config.'), `annotation ${key}`);
    const isWall = setting.identity === 'crio-annotation' && key === 'io.kubernetes.cri-o.userns-mode';
    const isOrder = RUNTIME.test(key) || NETWORK.test(key) || (setting.isUpdate !== true && NETWORK_STATUS.test(key));
    wrong(isOrder && !isWall && !exempt('runtime-annotations', key), `annotation ${key}`);
  }
  for (const [name, value] of Object.entries(map(spec.securityContext))) {
    const isKnown = POD_SECURITY_FIELDS.includes(name);
    wrong(!isKnown && value != null && !exempt('unknown-fields', name), `unknown field ${name}`);
  }
  const { sysctls, fsGroup, supplementalGroups, runAsUser, runAsGroup, windowsOptions } = map(spec.securityContext);
  const dotted = list(sysctls).map((each) => text(map(each).name).replaceAll('/', '.'));
  wrong(new Set(dotted).size < dotted.length, 'a sysctl that is set twice');
  for (const { name, value } of list(sysctls).map(map)) {
    wrong(!SYSCTLS.includes(text(name)), `sysctl ${name}`);
    const groups = text(value).trim().split(/\s+/).map(Number);
    wrong(
      name === 'net.ipv4.ping_group_range' && groups.length === 2 && groups.every(Number.isInteger) && !isMapped(groups[1], setting),
      'ping_group_range',
    );
  }
  wrong(saysSomething(windowsOptions), 'windowsOptions');
  for (const [name, id] of Object.entries({ fsGroup, runAsUser, runAsGroup })) wrong(!isMapped(id, setting), name);
  for (const id of list(supplementalGroups)) wrong(!isMapped(id, setting), `group ${id}`);
  wrongsOfResources(map(spec.resources), setting, wrong);
  if (setting.serviceAccountToken === 'remove') wrong(spec.automountServiceAccountToken !== false, 'automountServiceAccountToken');

  for (const kind of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const container of list(spec[kind]).map(map)) found.push(...wrongsOfContainerUnder(container, kind, pod, setting));
  }
  return found;
}

/** The same for one container of a pod, whichever way the container came in. */
export function wrongsOfContainer(container: Doc, kind: string, pod: Doc, setting: Setting): string[] {
  return wrongsOfContainerUnder(container, kind, pod, { ...chosenBy(pod, setting), grant: grantOf(pod, setting) ?? 'none' });
}

function wrongsOfContainerUnder(container: Doc, kind: string, pod: Doc, setting: Terms): string[] {
  const found: string[] = [];
  const wrong = (isWrong: boolean, what: string): void => void (isWrong && found.push(`${what} of ${kind} ${container.name}`));
  const { backend, grant } = setting;
  const exempt = (rule: string, value: string): boolean => isExempt(rule, value, setting, text(container.name));
  const podContext = map(map(pod.spec).securityContext);
  const context = map(container.securityContext);
  const capabilities = map(context.capabilities);
  const hasContainers = grant === 'containers' && lasts(container, kind) && isNamed(container, setting);

  wrong(context.privileged === true && !(hasContainers && setting.guestPrivileged === true && backend.startsWith('kata-')), 'privileged');
  wrong(grant === 'none' && context.allowPrivilegeEscalation !== false, 'allowPrivilegeEscalation');
  const mayHold = hasContainers ? [...BASELINE, ...beyondBaseline(setting)] : BASELINE;
  const bare = grant === 'none' && setting.isUnwalled !== true && (backend.startsWith('kata-') || backend === 'sysbox');
  for (const each of list(capabilities.add)) {
    wrong((bare || !mayHold.includes(each as string)) && !exempt('capabilities', String(each)), `capability ${JSON.stringify(each)}`);
  }
  if (bare) {
    wrong(!list(capabilities.drop).includes('ALL'), 'capabilities that are not dropped');
  }
  const unmasked = hasContainers && backend === 'userns' && map(pod.spec).hostUsers === false;
  wrong(context.procMount === 'Unmasked' && !unmasked, 'procMount');

  const seccomp = map(context.seccompProfile ?? podContext.seccompProfile);
  const isLocal = seccomp.type === 'Localhost';
  const ours = hasContainers && backend === 'userns' && setting.nesting !== 'sysadmin';
  wrong(
    seccomp.type !== 'RuntimeDefault' &&
      !(ours && isLocal && seccomp.localhostProfile === (setting.seccompProfile ?? 'cloister/workspace.json')) &&
      !exempt('seccomp', text(isLocal ? seccomp.localhostProfile : seccomp.type)),
    `seccomp ${JSON.stringify(seccomp)}`,
  );

  const annotation = map(map(pod.metadata).annotations)[`container.apparmor.security.beta.kubernetes.io/${container.name}`];
  const field = context.appArmorProfile ?? podContext.appArmorProfile;
  for (const profile of [...(field == null ? [] : [map(field)]), ...(annotation === undefined ? [] : [fromAnnotation(text(annotation))])]) {
    const name = text(profile.type === 'Localhost' ? profile.localhostProfile : profile.type);
    const given = hasContainers && setting.appArmorProfile !== undefined && name === setting.appArmorProfile;
    const isType = profile.type === 'Localhost' || profile.type === 'Unconfined';
    wrong(profile.type !== 'RuntimeDefault' && !(given && isType) && !exempt('apparmor', name), `AppArmor ${JSON.stringify(profile)}`);
  }

  // A container's own options hide the pod's as a whole (the kubelet's DetermineEffectiveSecurityContext).
  const options = map(context.seLinuxOptions ?? podContext.seLinuxOptions);
  const seLinux = (name: string): string => text(options[name]);
  wrong(seLinux('user') !== '' || seLinux('role') !== '', 'SELinux user or role');
  wrong(!SELINUX_TYPES.includes(seLinux('type')) && !(hasContainers && seLinux('type') === setting.seLinuxType), 'SELinux type');
  wrong(/\.|,.*,/.test(seLinux('level')), 'SELinux level');

  wrong(saysSomething(context.windowsOptions ?? podContext.windowsOptions), 'windowsOptions');
  for (const name of ['runAsUser', 'runAsGroup']) wrong(!isMapped(context[name] ?? podContext[name], setting), name);
  for (const [name, value] of Object.entries(context)) {
    wrong(!SECURITY_FIELDS.includes(name) && value != null && !exempt('unknown-fields', name), `unknown field ${name}`);
  }
  for (const { hostPort } of list(container.ports).map(map)) wrong(Number(hostPort ?? 0) !== 0, 'hostPort');
  for (const { mountPropagation } of list(container.volumeMounts).map(map)) {
    wrong(!['', 'None'].includes(text(mountPropagation)), 'mountPropagation');
  }
  wrong(list(container.volumeDevices).length > 0 && !backend.startsWith('kata-'), 'volumeDevices');
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe].map(map)) {
    wrong(isSlow(probe, setting), 'grace period of a probe');
  }
  const { postStart, preStop } = map(container.lifecycle);
  for (const handler of [container.livenessProbe, container.readinessProbe, container.startupProbe, postStart, preStop].map(map)) {
    wrong(text(map(handler.httpGet).host) !== '' || text(map(handler.tcpSocket).host) !== '', 'a host that the kubelet calls');
  }
  wrongsOfResources(map(container.resources), setting, wrong, text(container.name));
  if (backend === 'sysbox') wrongsOfSysbox(container, hasContainers, wrong);
  return found;
}

/** What the label asks for, if that is no more than the profile's; undefined: the label is refused. */
export function grantOf(pod: Doc, setting: Setting): Setting['grant'] | undefined {
  const { grant } = chosenBy(pod, setting);
  const asked = map(map(pod.metadata).labels)['cloister.dev/grant'] ?? grant;
  const order = ['none', 'sudo', 'containers'];
  const rank = order.indexOf(asked as string);
  return rank >= 0 && rank <= order.indexOf(grant) ? (asked as Setting['grant']) : undefined;
}

export function hasWall(pod: Doc, { backend, identity, runtimeClassName, runtimeClasses = [] }: Setting): boolean {
  const { hostUsers, runtimeClassName: found } = map(pod.spec);
  const wanted = runtimeClassName ?? { userns: undefined, sysbox: 'sysbox-runc' }[backend] ?? (backend === 'userns' ? undefined : backend);
  const hasClass = found == null ? wanted === undefined : found === wanted || runtimeClasses.includes(text(found));
  if (identity === 'crio-annotation') {
    const mode = map(map(pod.metadata).annotations)['io.kubernetes.cri-o.userns-mode'];
    return hasClass && hostUsers == null && mode === 'auto:size=65536';
  }
  return hasClass && (backend === 'userns' || backend === 'sysbox' ? hostUsers === false : hostUsers == null);
}

/** What `containers` lists beyond Pod Security baseline. */
export function beyondBaseline({ backend, nesting }: Setting): string[] {
  if (backend === 'userns') return nesting === 'sysadmin' ? ['SYS_ADMIN'] : [];
  if (backend === 'gvisor') return ['SYS_PTRACE'];
  return backend.startsWith('kata-') ? ['SYS_ADMIN', 'NET_ADMIN', 'SYS_RESOURCE', 'SYS_PTRACE', 'NET_RAW'] : [];
}

/** Only containers that run until the pod ends are workspaces: regular ones, and init containers that always restart. */
export const lasts = ({ restartPolicy }: Doc, kind: string): boolean =>
  kind === 'containers' || (kind === 'initContainers' && restartPolicy === 'Always');

export function isNamed({ name }: Doc, { grantTo }: Setting): boolean {
  return grantTo === undefined || matches(grantTo, text(name));
}

const matches = (globs: readonly string[], name: string): boolean =>
  globs.some((glob) => glob === name || (glob.endsWith('*') && name.startsWith(glob.slice(0, -1))));

/** An exemption for some containers does not count for the pod. */
function isExempt(rule: string, value: string, { exempt, exemptIn }: Setting, container?: string): boolean {
  if (exemptIn !== undefined && (container === undefined || !matches(exemptIn, container))) return false;
  return exempt?.[rule]?.includes(value) ?? false;
}

export const map = (value: unknown): Doc => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Doc) : {});
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

const saysSomething = (options: unknown): boolean =>
  Object.values(map(options)).some((value) => value !== null && value !== false && value !== '');

type Wrong = (isWrong: boolean, what: string) => void;

function wrongsOfVolume(volume: Doc, setting: Setting, wrong: Wrong): void {
  const { backend, serviceAccountToken, csiDrivers = CSI_DRIVERS } = setting;
  for (const [kind, source] of Object.entries(volume)) {
    if (kind === 'name' || source == null) continue;
    const { path, driver } = map(source);
    const value = kind === 'hostPath' ? `hostPath:${path}` : kind === 'csi' ? `csi:${driver}` : kind;
    const isListed = kind === 'csi' && csiDrivers.includes(text(driver));
    wrong(!VOLUMES.includes(kind) && !isListed && !isExempt('volume-types', value, setting), `volume ${value}`);
  }
  wrong(backend === 'userns' && text(map(volume.emptyDir).medium).startsWith('HugePages'), 'huge pages');
  const hasToken = list(map(volume.projected).sources).some((source) => map(source).serviceAccountToken != null);
  wrong(serviceAccountToken === 'remove' && hasToken, 'a service account token');
  const hasCertificate = list(map(volume.projected).sources).some((source) => map(source).podCertificate != null);
  wrong(serviceAccountToken === 'remove' && hasCertificate, 'a certificate of the pod');
}

function wrongsOfResources(resources: Doc, setting: Setting, wrong: Wrong, container?: string): void {
  const { devices = [] } = setting;
  for (const [name, quantity] of [...Object.entries(map(resources.limits)), ...Object.entries(map(resources.requests))]) {
    const isExtended = name.includes('/') && String(quantity) !== '0';
    wrong(isExtended && !devices.includes(name) && !isExempt('extended-resources', name, setting, container), `resource ${name}`);
  }
}

function wrongsOfSysbox({ env, envFrom }: Doc, mayBeTrue: boolean, wrong: Wrong): void {
  const variables = list(env).map(map);
  const modes = variables.filter(({ name }) => name === 'SYSBOX_SYSCONT_MODE');
  const values = mayBeTrue ? ['TRUE', 'FALSE'] : ['FALSE'];
  wrong(
    modes.some(({ value, valueFrom }) => valueFrom != null || !values.includes(text(value))),
    'SYSBOX_SYSCONT_MODE',
  );
  wrong(modes.length === 0 && !mayBeTrue, 'SYSBOX_SYSCONT_MODE that the image decides');
  wrong(
    variables.some(({ name }) => text(name).startsWith('SYSBOX_') && name !== 'SYSBOX_SYSCONT_MODE'),
    'a variable of Sysbox',
  );
  for (const { prefix } of list(envFrom).map(map)) {
    const shared = Math.min(text(prefix).length, 'SYSBOX_'.length);
    wrong(shared > 0 && text(prefix).slice(0, shared) === 'SYSBOX_'.slice(0, shared), `envFrom prefix ${prefix}`);
  }
}

function expressions({
  requiredDuringSchedulingIgnoredDuringExecution: required,
  preferredDuringSchedulingIgnoredDuringExecution: preferred,
}: Doc): Doc[] {
  const terms = [...list(map(required).nodeSelectorTerms), ...list(preferred).map((each) => map(each).preference)];
  return terms.flatMap((term) => [...list(map(term).matchExpressions), ...list(map(term).matchFields)].map(map));
}

function isDeniedToleration({ key, operator, value }: Doc, { deniedTolerations = [] }: Setting): boolean {
  if (!text(key) || isControlPlane(text(key)) || SYSTEM_TAINT.test(text(key))) return true;
  const isAnyValue = text(operator) !== '' && operator !== 'Equal';
  return deniedTolerations.some((denied) => {
    const [deniedKey, ...deniedValue] = denied.split('=');
    return key === deniedKey && (deniedValue.length === 0 || isAnyValue || deniedValue[0] === text(value));
  });
}

/** @param values undefined: any */
function asksForNode(key: string, values: readonly unknown[] | undefined, { deniedNodeLabels = [], exempt }: Setting): boolean {
  if (isControlPlane(key)) return true;
  const denied = [...SYSTEM_LABELS, ...deniedNodeLabels];
  if (denied.some((each) => each === key || (values ?? [each.slice(key.length + 1)]).some((value) => each === `${key}=${value}`)))
    return true;
  return ONE_NODE.includes(key) && exempt?.['node-selection']?.includes(key) !== true;
}

/** An absent field is an empty one; an absent operator means Equal. */
const isSame = (one: unknown, other: unknown): boolean => (one ?? '') === (other ?? '');
const TOLERATION_FIELDS = ['key', 'operator', 'value', 'effect', 'tolerationSeconds'];

function isMapped(id: unknown, { backend, idsPerPod = 65536 }: Setting): boolean {
  return typeof id !== 'number' || (backend !== 'userns' && backend !== 'sysbox') || id < idsPerPod;
}

const isSlow = ({ terminationGracePeriodSeconds: seconds }: Doc, { maxTerminationGracePeriodSeconds: most = 3600 }: Setting): boolean =>
  typeof seconds === 'number' && seconds > most;

function fromAnnotation(value: string): Doc {
  if (value === 'runtime/default') return { type: 'RuntimeDefault' };
  const local = /^localhost\/(.*)$/s.exec(value);
  return local === null ? { type: 'Unconfined' } : { type: 'Localhost', localhostProfile: local[1] };
}

const isControlPlane = (label: string): boolean => /^node-role\.kubernetes\.io\/(control-plane|controlplane|master|etcd)$/.test(label);

const RUNTIME =
  /^(bundle$|io\.containers\.trace-syscall$|io\.katacontainers\.|io\.kubernetes\.cri(-o)?\.|cdi\.k8s\.io\/|dev\.gvisor\.|run\.oci\.|org\.(systemd\.property|criu)\.|module\.wasm\.image\/|(rdt|blockio)\.resources\.|(container\.)?seccomp\.security\.alpha\.kubernetes\.io\/|seccomp-profile\.kubernetes\.cri-o\.io|[^/]*(crio\.io|nri\.io|nri\.containerd\.io)(\/|$))/;
/** Annotations that bring a pod interfaces, addresses, or the traffic of others; and those that a plugin itself writes later. */
const NETWORK =
  /^(k8s\.v1\.cni\.cncf\.io\/networks|v1\.multus-cni\.io\/default-network|networking\.gke\.io\/(default-interface|interfaces))$|^krun\.|^com\.github\.containers\.virtcontainers\.|^([^/]*\.)?((target|resources)\.workload\.openshift\.io|cri-resource-manager\.intel\.com|(cni|ipam)\.cilium\.io|ipam\.(antrea|spidernet)\.io)(\/|$)|^(k8s\.ovn\.org\/(?!pod-networks$|dpu\.connection-)|cni\.projectcalico\.org\/(?!podIPs?$|containerID$))/;
const NETWORK_STATUS =
  /^k8s\.ovn\.org\/|^cni\.projectcalico\.org\/|^([^/]*\.)?ovn\.kubernetes\.io\/|^vpc\.amazonaws\.com\/pod-(eni|ips)$|^networking\.gke\.io\/pod-ips$/;

const SYSTEM_TAINT =
  /^(CriticalAddonsOnly|components\.gke\.io\/gke-managed-components|node-role\.kubernetes\.io\/infra|node\.ocs\.openshift\.io\/storage|hypershift\.openshift\.io\/(control-plane|request-serving-component)|kubeegressgateway\.azure\.com\/mode)$/;
const SYSTEM_LABELS = (
  'kubernetes.azure.com/mode=system kubernetes.azure.com/mode=gateway karpenter.sh/nodepool=system node-role.kubernetes.io/infra ' +
  'components.gke.io/gke-managed-components hypershift.openshift.io/control-plane hypershift.openshift.io/request-serving-component ' +
  'kubeegressgateway.azure.com/mode cluster.ocs.openshift.io/openshift-storage'
).split(' ');
const ONE_NODE = ['kubernetes.io/hostname', 'metadata.name', 'alpha.eksctl.io/instance-id', 'k3s.io/hostname'];
const CSI_DRIVERS = ['secrets-store.csi.k8s.io', 'csi.cert-manager.io', 'spiffe.csi.cert-manager.io', 'csi.spiffe.io'];

const VOLUMES = 'configMap downwardAPI emptyDir ephemeral image persistentVolumeClaim projected secret'.split(' ');
const SELINUX_TYPES = ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'];
const SYSCTLS = (
  'kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.tcp_syncookies net.ipv4.ping_group_range ' +
  'net.ipv4.ip_unprivileged_port_start net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout ' +
  'net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem net.ipv4.tcp_wmem ' +
  'net.ipv4.tcp_slow_start_after_idle net.ipv4.tcp_notsent_lowat'
).split(' ');
const SHARED_FIELDS = 'appArmorProfile runAsGroup runAsNonRoot runAsUser seLinuxOptions seccompProfile windowsOptions'.split(' ');
const POD_SECURITY_FIELDS = [
  ...SHARED_FIELDS,
  ...'fsGroup fsGroupChangePolicy seLinuxChangePolicy supplementalGroups supplementalGroupsPolicy sysctls'.split(' '),
];
const SECURITY_FIELDS = [
  ...SHARED_FIELDS,
  ...'allowPrivilegeEscalation capabilities privileged procMount readOnlyRootFilesystem'.split(' '),
];
