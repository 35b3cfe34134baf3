/** Pods as people write them, for tests that send them to an API server. */
export interface PodManifest {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: { readonly name: string; readonly labels?: Labels; readonly annotations?: Labels };
  readonly spec: PodManifestSpec;
}

export interface PodManifestSpec {
  readonly containers: readonly ContainerManifest[];
  readonly initContainers?: readonly ContainerManifest[];
  readonly [field: string]: unknown;
}

export interface ContainerManifest {
  readonly name: string;
  readonly image: string;
  readonly [field: string]: unknown;
}

type Labels = Readonly<Record<string, string>>;

const POD = { apiVersion: 'v1', kind: 'Pod' } as const;
const IMAGE = 'registry.example/workspace:1';

/** Nothing asked for. */
export const plainPod = (name = 'plain', spec: object = {}): PodManifest => ({
  ...POD,
  metadata: { name },
  spec: { containers: [{ name: 'workspace', image: IMAGE }], ...spec },
});

/** Everything that a Docker daemon is usually given, but the node's socket. */
export const dockerInDocker = (name = 'docker-in-docker'): PodManifest => ({
  ...POD,
  metadata: { name },
  spec: {
    containers: [
      {
        name: 'workspace',
        image: 'docker:dind',
        securityContext: {
          privileged: true,
          capabilities: { add: ['SYS_ADMIN'] },
          seccompProfile: { type: 'Unconfined' },
          appArmorProfile: { type: 'Unconfined' },
        },
        volumeMounts: [{ name: 'docker-graph', mountPath: '/var/lib/docker' }],
      },
    ],
    volumes: [{ name: 'docker-graph', emptyDir: {} }],
  },
});

/** One container by its own memory limit, and one by the pod's. */
export const limited = (name = 'limited'): PodManifest => ({
  ...POD,
  metadata: { name },
  spec: {
    resources: { limits: { memory: '8Gi' } },
    containers: [
      { name: 'workspace', image: IMAGE, resources: { limits: { memory: '3e9' } } },
      { name: 'tools', image: IMAGE },
    ],
  },
});

/** The node's own files: nothing that a repair could keep the intent of. */
export const hostPath = (name = 'host-path', path = '/var/run/docker.sock'): PodManifest => ({
  ...POD,
  metadata: { name },
  spec: {
    containers: [{ name: 'workspace', image: IMAGE, volumeMounts: [{ name: 'node', mountPath: path }] }],
    volumes: [{ name: 'node', hostPath: { path } }],
  },
});

/** All of its node's namespaces, and two of its ports: one written down, one that the API server fills in. */
export const hostNamespaces = (name = 'host-namespaces'): PodManifest => ({
  ...POD,
  metadata: { name },
  spec: {
    hostNetwork: true,
    hostPID: true,
    hostIPC: true,
    dnsPolicy: 'ClusterFirstWithHostNet',
    containers: [
      {
        name: 'workspace',
        image: IMAGE,
        ports: [
          { name: 'http', containerPort: 8080 },
          { name: 'debug', containerPort: 9090, hostPort: 9090, hostIP: '10.0.0.1' },
        ],
      },
    ],
  },
});

/** As a service mesh, a log shipper, a tracer and a backup make company for a workspace. */
export const sidecars = (name = 'sidecars'): PodManifest => ({
  ...POD,
  metadata: { name },
  spec: {
    initContainers: [
      { name: 'privileged-init', image: IMAGE, securityContext: { privileged: true } },
      { name: 'lasting-init', image: IMAGE, restartPolicy: 'Always', securityContext: { capabilities: { add: ['NET_ADMIN', 'CHOWN'] } } },
    ],
    containers: [
      { name: 'workspace', image: IMAGE },
      {
        name: 'locked-down',
        image: IMAGE,
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          runAsNonRoot: true,
          readOnlyRootFilesystem: true,
          seccompProfile: { type: 'RuntimeDefault' },
        },
      },
      { name: 'net-admin', image: IMAGE, securityContext: { capabilities: { add: ['NET_ADMIN'] } } },
      { name: 'own-seccomp', image: IMAGE, securityContext: { seccompProfile: { type: 'RuntimeDefault' } } },
      {
        name: 'odd-spelling',
        image: IMAGE,
        securityContext: {
          capabilities: { add: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] },
          seccompProfile: { type: 'Localhost', localhostProfile: 'tracer.json' },
        },
      },
    ],
  },
});
