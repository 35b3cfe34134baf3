import { expect, test } from 'vitest';
import { type Path, printPath } from '../../src/core/path.ts';
import { podIs } from '../../src/core/pod.ts';

const profiles = {
  seccompProfile: { type: 'Localhost', localhostProfile: 'own.json' },
  appArmorProfile: { type: 'Localhost', localhostProfile: 'own' },
  seLinuxOptions: { user: 'u', role: 'r', type: 't', level: 's0' },
  windowsOptions: { hostProcess: true },
  runAsGroup: 1,
  runAsUser: 1,
};
const handler = { httpGet: { host: 'h' }, tcpSocket: { host: 'h' } };
const resources = { limits: { cpu: 1 }, requests: { cpu: '1' } };
const container = {
  name: 'main',
  env: [{ name: 'A', value: 'a', valueFrom: {} }],
  envFrom: [{ prefix: 'P' }],
  lifecycle: { postStart: handler, preStop: handler },
  livenessProbe: handler,
  ports: [{ hostIP: '10.0.0.1', hostPort: 80, containerPort: 80, protocol: 'TCP', name: 'http' }],
  readinessProbe: handler,
  resources,
  restartPolicy: 'Always',
  securityContext: {
    ...profiles,
    allowPrivilegeEscalation: true,
    capabilities: { add: ['A'], drop: ['B'] },
    privileged: true,
    procMount: 'D',
  },
  startupProbe: handler,
  volumeDevices: [{ name: 'd', devicePath: '/dev/d' }],
  volumeMounts: [{ name: 'v', mountPath: '/v', mountPropagation: 'None' }],
};
const term = { matchExpressions: [{ key: 'k', operator: 'In', values: ['v'] }] };

/** Every field that rules read, once. */
const pod = {
  metadata: {
    name: 'n',
    generateName: 'n-',
    namespace: 'ns',
    labels: { l: 'v' },
    annotations: { a: 'v' },
    ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n' }],
  },
  spec: {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
        preferredDuringSchedulingIgnoredDuringExecution: [{ preference: term }],
      },
    },
    automountServiceAccountToken: true,
    containers: [container],
    dnsPolicy: 'Default',
    ephemeralContainers: [container],
    hostIPC: true,
    hostNetwork: true,
    hostPID: true,
    hostUsers: true,
    initContainers: [container],
    nodeName: 'n',
    nodeSelector: { l: 'v' },
    os: { name: 'linux' },
    overhead: { cpu: 1 },
    priority: 1,
    priorityClassName: 'p',
    resourceClaims: [{ name: 'c', resourceClaimName: 'c', resourceClaimTemplateName: 'c' }],
    resources,
    runtimeClassName: 'r',
    securityContext: { ...profiles, fsGroup: 1, supplementalGroups: [1], sysctls: [{ name: 's', value: '1' }] },
    serviceAccount: 's',
    serviceAccountName: 's',
    tolerations: [{ key: 'k', operator: 'Exists', value: 'v', effect: 'e', tolerationSeconds: 1 }],
    volumes: [
      { name: 'v', emptyDir: { medium: 'Memory' }, hostPath: { path: '/' }, projected: { sources: [{ serviceAccountToken: {} }] } },
    ],
  },
};

/** Fields whose type only the API server checks. */
const ANYTHING = /\.(valueFrom|serviceAccountToken|limits\.cpu|requests\.cpu|overhead\.cpu)$/;

const paths = pathsOf(pod).filter((path) => !ANYTHING.test(`.${path.join('.')}`));

test('a pod with every field that rules read has the shape of a pod', () => expect(podIs(pod)).toBeUndefined());

test('T47: a pod with a field of another type does not have the shape of a pod', () => {
  expect(paths.length).toBeGreaterThan(200);
  for (const path of paths) expect(podIs(replaced(pod, path))?.path, printPath(path)).toEqual(path);
});

/** The paths of all values below a value. */
function pathsOf(value: unknown): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [];
  const steps = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return steps.flatMap((step) => [[step], ...pathsOf(value[step as keyof typeof value]).map((path) => [step, ...path])]);
}

function replaced(value: unknown, path: Path): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return Symbol('of no type');
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) };
  const key = step as keyof typeof copy;
  return Object.assign(copy, { [step]: replaced(copy[key], rest) });
}
