/** A field of a pod's spec that no rule judges, with everything below it, and why that is safe. */
export interface Harmless {
  /** As rules print their fields: `[*]` for any element; `spec.containers[*]` stands for all three container lists. */
  readonly path: string;
  readonly reason: string;
}

const CONTAINER = 'spec.containers[*]';
const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'].map((probe) => `${CONTAINER}.${probe}`);
const HOOKS = ['postStart', 'preStop'].map((hook) => `${CONTAINER}.lifecycle.${hook}`);
const NODE_AFFINITY = 'spec.affinity.nodeAffinity';

const within = (parents: string | readonly string[], ...fields: string[]): string[] =>
  [parents].flat().flatMap((parent) => fields.map((field) => `${parent}.${field}`));

const GROUPS: readonly { readonly reason: string; readonly paths: readonly string[] }[] = [
  {
    reason: 'What runs inside is what the wall is for: no program is trusted, so none is judged.',
    paths: [
      ...within(CONTAINER, 'args', 'command', 'image', 'stdin', 'stdinOnce', 'tty', 'workingDir', 'targetContainerName'),
      ...within(PROBES, 'exec'),
      ...within(HOOKS, 'exec', 'sleep'),
    ],
  },
  {
    reason: 'Which images may run, and who may use one that a node has cached, is for an image policy and the kubelet to say.',
    paths: [`${CONTAINER}.imagePullPolicy`, 'spec.imagePullSecrets'],
  },
  {
    reason:
      'Variables are read inside the wall. `NVIDIA_*` ones give devices only where the operator’s runtime takes orders from them, which no pod can see; those of Sysbox are judged.',
    paths: within(CONTAINER, 'env[*].value', 'env[*].valueFrom', 'envFrom[*].configMapRef', 'envFrom[*].secretRef'),
  },
  {
    reason: 'The probe or hook reaches the pod alone once its host is judged.',
    paths: [
      ...within([...PROBES, ...HOOKS], 'httpGet.httpHeaders', 'httpGet.path', 'httpGet.port', 'httpGet.scheme', 'tcpSocket.port'),
      ...within(PROBES, 'grpc', 'failureThreshold', 'initialDelaySeconds', 'periodSeconds', 'successThreshold'),
      ...within(PROBES, 'terminationGracePeriodSeconds', 'timeoutSeconds'),
    ],
  },
  {
    reason: 'When a container starts, stops and starts again costs its own pod time, and nobody else anything.',
    paths: [
      ...within(CONTAINER, 'lifecycle.stopSignal', 'resizePolicy', 'restartPolicy', 'restartPolicyRules'),
      ...within('spec', 'activeDeadlineSeconds', 'readinessGates', 'restartPolicy', 'terminationGracePeriodSeconds'),
    ],
  },
  {
    reason: 'The port is the pod’s own; that of the node is judged.',
    paths: within(CONTAINER, 'ports[*].containerPort', 'ports[*].name', 'ports[*].protocol'),
  },
  {
    reason: 'It only names a claim of the pod, and the pod’s claims are judged.',
    paths: [`${CONTAINER}.resources.claims`, 'spec.resources.claims'],
  },
  {
    reason: 'It restricts, or leaves to the image, a user who is root of the pod alone.',
    paths: [
      ...within(`${CONTAINER}.securityContext`, 'readOnlyRootFilesystem', 'runAsNonRoot'),
      ...within('spec.securityContext', 'runAsNonRoot', 'supplementalGroupsPolicy'),
    ],
  },
  {
    reason: 'It says how the files of the pod’s own volumes get their labels and owners, not which.',
    paths: within('spec.securityContext', 'fsGroupChangePolicy', 'seLinuxChangePolicy'),
  },
  {
    reason: 'The kernel keeps the safe settings apart for each pod, whatever their value.',
    paths: ['spec.securityContext.sysctls[*].value'],
  },
  {
    reason: 'Where a volume appears inside is the container’s affair; the kubelet resolves sub-paths without following links out.',
    paths: within(
      CONTAINER,
      ...['mountPath', 'readOnly', 'recursiveReadOnly', 'subPath', 'subPathExpr'].map((field) => `volumeMounts[*].${field}`),
    ),
  },
  {
    reason: 'The kubelet makes the file, and reads at most 4 KiB of it back into the status of the pod itself.',
    paths: within(CONTAINER, 'terminationMessagePath', 'terminationMessagePolicy'),
  },
  {
    reason: 'The namespace’s own data: who may make the pod may read it.',
    paths: ['spec.volumes[*].configMap', 'spec.volumes[*].downwardAPI', 'spec.volumes[*].secret'],
  },
  {
    reason: 'Which storage a claim may have is up to storage classes, drivers and volumes, all of them the admin’s.',
    paths: ['spec.volumes[*].csi', 'spec.volumes[*].ephemeral', 'spec.volumes[*].persistentVolumeClaim'],
  },
  {
    reason: 'An image’s files are mounted read-only.',
    paths: ['spec.volumes[*].image'],
  },
  {
    reason: 'A size limit only restricts; a volume without one counts against the pod’s own limits.',
    paths: ['spec.volumes[*].emptyDir.sizeLimit'],
  },
  {
    reason: 'Whom a token may speak to is for those who accept that audience to judge; what it may do is RBAC’s business.',
    paths: [
      'spec.volumes[*].projected.sources[*].serviceAccountToken.audience',
      'spec.volumes[*].projected.sources[*].podCertificate',
      'spec.serviceAccount',
      'spec.serviceAccountName',
    ],
  },
  {
    reason: 'Processes of one pod see each other, as they may: the wall stands around the pod.',
    paths: ['spec.shareProcessNamespace'],
  },
  {
    reason: 'Names and addresses as the pod itself sees them; nobody else is told.',
    paths: within(
      'spec',
      'dnsConfig',
      'enableServiceLinks',
      'hostAliases',
      'hostname',
      'hostnameOverride',
      'setHostnameAsFQDN',
      'subdomain',
    ),
  },
  {
    reason: 'It orders pods among nodes that taints and the wall’s own node selector leave open.',
    paths: [
      ...within(
        'spec',
        'affinity.podAffinity',
        'affinity.podAntiAffinity',
        'schedulingGroup',
        'schedulingGates',
        'topologySpreadConstraints',
      ),
      `${NODE_AFFINITY}.preferredDuringSchedulingIgnoredDuringExecution[*].weight`,
    ],
  },
  {
    reason: 'It names a node to the scheduler, as every DaemonSet does, and taints still hold.',
    paths: [
      `${NODE_AFFINITY}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[*].matchFields`,
      `${NODE_AFFINITY}.preferredDuringSchedulingIgnoredDuringExecution[*].preference.matchFields`,
    ],
  },
  {
    reason: 'Another scheduler is the admin’s to run; with a name that none has, the pod waits.',
    paths: ['spec.schedulerName'],
  },
  {
    reason: 'Whether a pod may push off others follows from its priority, which is judged.',
    paths: ['spec.preemptionPolicy'],
  },
];

/**
 * Every field of a pod's spec is judged by a rule or listed here; a test holds both against the API server's own list of fields. A field
 * that may give away more than the pod only if an admin set it up so is the admin's to judge, and listed. What a pod leaves out has no
 * path: a container without limits is up to the LimitRange and the ResourceQuota of its namespace.
 */
export const HARMLESS: readonly Harmless[] = GROUPS.flatMap(({ reason, paths }) => paths.map((path) => ({ path, reason })));
