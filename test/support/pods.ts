import fc from 'fast-check';
import type { Sketch } from './test-rule.ts';

/** A pod of an author who does not know about isolation profiles. */
export const plainPod: Sketch = {
  initContainers: [{ name: 'clone', image: 'git' }],
  containers: [{ name: 'workspace', image: 'dev', resources: { limits: { cpu: '2', memory: '4Gi' } } }],
};

/** A container in which every field that can be repaired is wrong. */
const hostileContainer: Sketch = {
  image: 'docker:dind',
  env: [{ name: 'SYSBOX_SYSCONT_MODE', valueFrom: { configMapKeyRef: { name: 'x', key: 'y' } } }],
  ports: [{ containerPort: 80, hostPort: 80, hostIP: '192.0.2.1' }, { containerPort: 81 }, { containerPort: 82, hostPort: 82 }],
  livenessProbe: { httpGet: { port: 80, host: '169.254.169.254' } },
  readinessProbe: { tcpSocket: { port: 80, host: 'a' } },
  startupProbe: { httpGet: { port: 80, host: 'b' }, tcpSocket: { port: 80, host: 'c' }, terminationGracePeriodSeconds: 31_536_000 },
  lifecycle: { postStart: { httpGet: { port: 80, host: 'd' } }, preStop: { tcpSocket: { port: 80, host: 'e' } } },
  securityContext: {
    privileged: true,
    allowPrivilegeEscalation: true,
    capabilities: { add: ['cap_chown', 'SYS_ADMIN', 'ALL', 'KILL', 'net_admin'], drop: ['NET_RAW'] },
    procMount: 'Unmasked',
    seccompProfile: { type: 'Unconfined' },
    appArmorProfile: { type: 'Localhost', localhostProfile: 'mine' },
  },
  volumeMounts: [
    { name: 'kube-api-access-abcde', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', mountPropagation: 'HostToContainer' },
    { name: 'data', mountPath: '/data', mountPropagation: 'Bidirectional' },
  ],
};

/** A pod in which every field that can be repaired is wrong, in every list of containers. */
export const hostilePod: Sketch = {
  metadata: {
    annotations: {
      'cloister.dev/profile-applied': 'forged/containers',
      'io.kubernetes.cri-o.userns-mode': 'keep-id',
      'io.kubernetes.cri-o.Devices': '/dev/kvm',
      'io.katacontainers.config.hypervisor.kernel_params': 'agent.debug_console',
      'devices.nri.io/pod': 'x',
      'k8s.v1.cni.cncf.io/networks': 'x',
      'container.apparmor.security.beta.kubernetes.io/main': 'unconfined',
      'container.apparmor.security.beta.kubernetes.io/ghost': 'localhost/mine',
    },
  },
  hostUsers: true,
  hostNetwork: true,
  hostPID: true,
  hostIPC: true,
  dnsPolicy: 'ClusterFirstWithHostNet',
  runtimeClassName: 'runc-privileged',
  overhead: { cpu: '1' },
  automountServiceAccountToken: true,
  terminationGracePeriodSeconds: 31_536_000,
  evictionResponders: [{ name: 'acme.io/checkpoint', priority: 10_000 }],
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: 'zone', labelSelector: {}, namespaces: ['b'], namespaceSelector: {} },
      ],
    },
  },
  securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: 'mine.json' }, appArmorProfile: { type: 'Unconfined' } },
  tolerations: [{ operator: 'Exists' }, { key: 'tenant', operator: 'Exists' }, { key: 'node-role.kubernetes.io/control-plane' }],
  volumes: [
    { name: 'data', emptyDir: {} },
    { name: 'kube-api-access-abcde', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
  ],
  initContainers: [{ name: 'set-up', ...hostileContainer }],
  containers: [{ name: 'main', ...hostileContainer }, { name: 'side' }],
  ephemeralContainers: [{ name: 'debug', ...hostileContainer }],
};

/** A pod with everything that only a person can fix. The text of its values is a parameter, so that it may be hostile. */
export function refusedPod(text: string): Sketch {
  const securityContext = {
    novelty: text,
    runAsUser: 1_000_000,
    seLinuxOptions: { user: text, role: text, type: text, level: `s0:c0.${text}` },
    windowsOptions: { hostProcess: true },
  };
  return {
    metadata: {
      labels: { 'cloister.dev/profile': text, 'cloister.dev/grant': text },
      annotations: { 'kubernetes.io/config.mirror': text, [`kubernetes.io/config.${text}`]: text },
    },
    nodeName: text,
    [`future${text}`]: text,
    nodeSelector: { 'node-role.kubernetes.io/master': text, 'kubernetes.io/hostname': text },
    priorityClassName: `system-${text}`,
    os: { name: text },
    resourceClaims: [{ name: text, resourceClaimName: text }],
    resources: { limits: { [`example.org/${text}`]: '1' } },
    securityContext: { ...securityContext, [text]: text, sysctls: [{ name: text, value: text }], supplementalGroups: [1_000_000] },
    volumes: [
      { name: text, hostPath: { path: text } },
      { name: text, [text]: {} },
      { name: text, csi: { driver: text } },
      { name: text, nfs: { server: text, path: text } },
      { name: text, emptyDir: { medium: `HugePages-${text}` } },
      { name: text, projected: { sources: [{ serviceAccountToken: {} }, { podCertificate: {} }] } },
    ],
    containers: [
      {
        name: text,
        env: [{ name: `SYSBOX_${text}`, value: text }],
        envFrom: [{ prefix: `SYSBOX_${text}` }],
        securityContext: { ...securityContext, [text]: text },
        volumeDevices: [{ name: text, devicePath: text }],
        [`future${text}`]: text,
        resources: { requests: { [`example.org/${text}`]: '1' } },
      },
    ],
  };
}

/** A hostile pod with the given text wherever its author may write one. */
export function talkativePod(text: string): Sketch {
  return {
    metadata: {
      annotations: { [`run.oci.${text}`]: text, [`container.apparmor.security.beta.kubernetes.io/${text}`]: text },
    },
    affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ namespaces: [text] }] } },
    runtimeClassName: text,
    dnsPolicy: text,
    securityContext: { seccompProfile: { type: text }, appArmorProfile: { type: text } },
    containers: [
      {
        name: text,
        env: [{ name: 'SYSBOX_SYSCONT_MODE', value: text }],
        livenessProbe: { httpGet: { host: text } },
        securityContext: {
          capabilities: { add: [text], drop: [text, 'CHOWN'] },
          procMount: text,
          seccompProfile: { type: 'Localhost', localhostProfile: text },
          appArmorProfile: { type: 'Localhost', localhostProfile: text },
          seLinuxOptions: { type: text },
        },
        volumeMounts: [{ name: text, mountPath: text, mountPropagation: text }],
      },
    ],
  };
}

/** Any part of the hostile pod, down to single fields of its containers. */
export function hostilePods(): fc.Arbitrary<Sketch> {
  const lists = ['initContainers', 'containers', 'ephemeralContainers'] as const;
  const container = partOf(hostileContainer).chain((found) =>
    partOf((found.securityContext ?? {}) as Sketch).map((securityContext) =>
      'securityContext' in found ? { ...found, securityContext } : found,
    ),
  );
  const containers = fc.record(
    Object.fromEntries(
      lists.map((list) => [
        list,
        fc
          .array(container, { maxLength: 2 })
          .map((found) => found.map((each, index) => ({ ...each, name: `${list}-${index}`.toLowerCase() }))),
      ]),
    ),
  );
  return fc.tuple(partOf(without(hostilePod, lists)), containers).map(([spec, found]) => ({ ...spec, ...found }));
}

function partOf(whole: Sketch): fc.Arbitrary<Sketch> {
  return fc.subarray(Object.keys(whole)).map((keys) => Object.fromEntries(keys.map((key) => [key, whole[key]])));
}

function without(sketch: Sketch, keys: readonly string[]): Sketch {
  return Object.fromEntries(Object.entries(sketch).filter(([key]) => !keys.includes(key)));
}
