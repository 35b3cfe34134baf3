import type { Doc } from './hostile-pods.ts';

/**
 * The JSON types of the fields through which a pod can reach its node. Written by hand from the API reference, independently of the source.
 * `[type]` stands for a list, `{ '*': type }` for a map, other objects for the fields that they name.
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
 */
type Type = 'string' | 'number' | 'boolean' | 'object' | readonly [Type] | { readonly [field: string]: Type };

const SHARED: Readonly<Record<string, Type>> = {
  runAsUser: 'number',
  runAsGroup: 'number',
  seccompProfile: { type: 'string', localhostProfile: 'string' },
  appArmorProfile: { type: 'string', localhostProfile: 'string' },
  seLinuxOptions: { user: 'string', role: 'string', type: 'string', level: 'string' },
};
const HANDLER = { httpGet: { host: 'string' }, tcpSocket: { host: 'string' } } as const;
const RESOURCES: Type = { limits: 'object', requests: 'object' };
const PROBE: Type = { ...HANDLER, terminationGracePeriodSeconds: 'number' };
const CONTAINER: Type = {
  name: 'string',
  image: 'string',
  restartPolicy: 'string',
  securityContext: {
    ...SHARED,
    privileged: 'boolean',
    allowPrivilegeEscalation: 'boolean',
    procMount: 'string',
    capabilities: { add: ['string'], drop: ['string'] },
  },
  ports: [{ hostPort: 'number' }],
  volumeMounts: [{ name: 'string', mountPath: 'string', mountPropagation: 'string' }],
  volumeDevices: ['object'],
  env: [{ name: 'string', value: 'string' }],
  envFrom: [{ prefix: 'string' }],
  livenessProbe: PROBE,
  readinessProbe: PROBE,
  startupProbe: PROBE,
  lifecycle: { postStart: HANDLER, preStop: HANDLER },
  resources: RESOURCES,
};
const TERM: Type = { matchExpressions: [{ key: 'string', operator: 'string' }] };
const POD: Type = {
  metadata: { labels: { '*': 'string' }, annotations: { '*': 'string' } },
  spec: {
    hostNetwork: 'boolean',
    hostPID: 'boolean',
    hostIPC: 'boolean',
    hostUsers: 'boolean',
    nodeName: 'string',
    nodeSelector: { '*': 'string' },
    priorityClassName: 'string',
    priority: 'number',
    runtimeClassName: 'string',
    automountServiceAccountToken: 'boolean',
    terminationGracePeriodSeconds: 'number',
    evictionResponders: [{ name: 'string' }],
    os: { name: 'string' },
    securityContext: { ...SHARED, fsGroup: 'number', supplementalGroups: ['number'], sysctls: [{ name: 'string' }] },
    schedulingGates: ['object'],
    tolerations: [{ key: 'string', operator: 'string' }],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [TERM] },
        preferredDuringSchedulingIgnoredDuringExecution: [{ preference: TERM }],
      },
      podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ namespaces: ['string'] }] },
    },
    volumes: [{ name: 'string', emptyDir: { medium: 'string' }, projected: { sources: ['object'] } }],
    resourceClaims: [{ name: 'string', resourceClaimName: 'string', resourceClaimTemplateName: 'string' }],
    resources: RESOURCES,
    initContainers: [CONTAINER],
    containers: [CONTAINER],
    ephemeralContainers: [CONTAINER],
  },
};

/** The fields whose values are not of their type. Code that reads on there sees another pod than the API server does. */
export function mistypedIn(pod: Doc): string[] {
  return mistyped(pod, POD, '');
}

function mistyped(value: unknown, type: Type, at: string): string[] {
  if (value === null || value === undefined) return [];
  if (typeof type === 'string') return (type === 'object' ? isObject(value) : typeof value === type) ? [] : [`${at} is no ${type}`];
  if (isList(type)) return Array.isArray(value) ? value.flatMap((each) => mistyped(each, type[0], `${at}[]`)) : [`${at} is no list`];
  if (!isObject(value)) return [`${at} is no object`];
  const every = type['*'];
  if (every !== undefined) return Object.entries(value).flatMap(([key, each]) => mistyped(each, every, `${at}.${key}`));
  return Object.entries(type).flatMap(([name, each]) => (Object.hasOwn(value, name) ? mistyped(value[name], each, `${at}.${name}`) : []));
}

const isList = (type: Type): type is readonly [Type] => Array.isArray(type);
const isObject = (value: unknown): value is Doc => typeof value === 'object' && value !== null && !Array.isArray(value);
