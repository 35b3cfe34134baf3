/** A field of a pod's spec that no rule judges, with everything below it, and why that is safe. */
export interface UnjudgedField {
  /** As rules print their fields: `[*]` for any element; `spec.containers[*]` stands for all three container lists. */
  readonly path: string;
  readonly reason: string;
}

const CONTAINER = 'spec.containers[*]';
const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'].map((probe) => `${CONTAINER}.${probe}`);
const HOOKS = ['postStart', 'preStop'].map((hook) => `${CONTAINER}.lifecycle.${hook}`);
const NODE_AFFINITY = 'spec.affinity.nodeAffinity';
const POD_ANTI_AFFINITY = 'spec.affinity.podAntiAffinity';

const fieldsIn = (parents: string | readonly string[], ...fields: string[]): string[] =>
  [parents].flat().flatMap((parent) => fields.map((field) => `${parent}.${field}`));

const GROUPS: readonly { readonly reason: string; readonly paths: readonly string[] }[] = [
  {
    reason: 'The wall isolates every program: none is trusted, so none is judged.',
    paths: [
      ...fieldsIn(CONTAINER, 'stdin', 'stdinOnce', 'tty', 'workingDir', 'targetContainerName'),
      ...fieldsIn(PROBES, 'exec'),
      ...fieldsIn(HOOKS, 'exec', 'sleep'),
    ],
  },
  {
    reason: 'An image policy decides which images may run, and the kubelet decides who may use one that the node has cached.',
    paths: [`${CONTAINER}.imagePullPolicy`, 'spec.imagePullSecrets'],
  },
  {
    reason:
      'Programs read variables inside the wall. `NVIDIA_*` variables give devices only where the operator configured the runtime to do so, which a pod does not show. Variables of Sysbox are judged.',
    paths: fieldsIn(CONTAINER, 'env[*].value', 'env[*].valueFrom', 'envFrom[*].configMapRef', 'envFrom[*].secretRef'),
  },
  {
    reason: 'The probe or hook calls only the pod, because its host is judged.',
    paths: [
      ...fieldsIn([...PROBES, ...HOOKS], 'httpGet.httpHeaders', 'httpGet.path', 'httpGet.port', 'httpGet.scheme', 'tcpSocket.port'),
      ...fieldsIn(PROBES, 'grpc', 'failureThreshold', 'initialDelaySeconds', 'periodSeconds', 'successThreshold'),
      ...fieldsIn(PROBES, 'timeoutSeconds'),
    ],
  },
  {
    reason: 'Starts, stops and restarts of a container affect only its own pod.',
    paths: [
      ...fieldsIn(CONTAINER, 'lifecycle.stopSignal', 'resizePolicy', 'restartPolicy', 'restartPolicyRules'),
      ...fieldsIn('spec', 'activeDeadlineSeconds', 'readinessGates', 'restartPolicy'),
    ],
  },
  {
    reason: 'It is a port of the pod; ports of the node are judged.',
    paths: fieldsIn(CONTAINER, 'ports[*].containerPort', 'ports[*].name', 'ports[*].protocol'),
  },
  {
    reason: 'It only names a claim of the pod, and the pod’s claims are judged.',
    paths: [`${CONTAINER}.resources.claims`, 'spec.resources.claims'],
  },
  {
    reason: 'It restricts the user, or lets the image choose the user; root is root of the pod only.',
    paths: [
      ...fieldsIn(`${CONTAINER}.securityContext`, 'readOnlyRootFilesystem', 'runAsNonRoot'),
      ...fieldsIn('spec.securityContext', 'runAsNonRoot', 'supplementalGroupsPolicy'),
    ],
  },
  {
    reason: 'It sets how files of the pod’s volumes get their labels and owners, not which labels and owners.',
    paths: fieldsIn('spec.securityContext', 'fsGroupChangePolicy', 'seLinuxChangePolicy'),
  },
  {
    reason: 'A mount path concerns only the container; the kubelet resolves sub-paths without following links out of the volume.',
    paths: fieldsIn(
      CONTAINER,
      ...['mountPath', 'readOnly', 'recursiveReadOnly', 'subPath', 'subPathExpr'].map((field) => `volumeMounts[*].${field}`),
    ),
  },
  {
    reason: 'The kubelet creates the file, and copies at most 4 KiB of it into the status of the pod.',
    paths: fieldsIn(CONTAINER, 'terminationMessagePath', 'terminationMessagePolicy'),
  },
  {
    reason: 'It is data of the namespace, which users that may create the pod may also read.',
    paths: ['spec.volumes[*].configMap', 'spec.volumes[*].downwardAPI', 'spec.volumes[*].secret'],
  },
  {
    reason: 'Storage classes and volumes, which the administrator controls, decide what a claim gets.',
    paths: ['spec.volumes[*].ephemeral', 'spec.volumes[*].persistentVolumeClaim.readOnly'],
  },
  {
    reason: 'The driver, which is judged, decides what they mean.',
    paths: fieldsIn('spec.volumes[*].csi', 'fsType', 'nodePublishSecretRef', 'readOnly', 'volumeAttributes'),
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
    reason: 'A token’s audience is checked by the services that accept it, and RBAC decides what the token allows.',
    paths: ['spec.volumes[*].projected.sources[*].serviceAccountToken.audience', 'spec.serviceAccount', 'spec.serviceAccountName'],
  },
  {
    reason: 'Processes of one pod may see each other: the wall isolates the pod as a whole.',
    paths: ['spec.shareProcessNamespace'],
  },
  {
    reason: 'It sets names and addresses that only the pod itself sees.',
    paths: fieldsIn(
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
    reason: 'It chooses among the nodes that taints and the node selector of the runtime class allow.',
    paths: [
      ...fieldsIn('spec', 'affinity.podAffinity', 'schedulingGroup', 'schedulingGates', 'topologySpreadConstraints'),
      `${NODE_AFFINITY}.preferredDuringSchedulingIgnoredDuringExecution[*].weight`,
      `${POD_ANTI_AFFINITY}.preferredDuringSchedulingIgnoredDuringExecution`,
    ],
  },
  {
    reason: 'It selects the pods that required anti-affinity keeps off a node. The namespaces of these pods are judged.',
    paths: fieldsIn(
      `${POD_ANTI_AFFINITY}.requiredDuringSchedulingIgnoredDuringExecution[*]`,
      'labelSelector',
      'matchLabelKeys',
      'mismatchLabelKeys',
      'topologyKey',
    ),
  },
  {
    reason: 'The administrator runs the schedulers; a pod that names a missing one stays pending.',
    paths: ['spec.schedulerName'],
  },
  {
    reason: 'Whether a pod may preempt others follows from its priority, which is judged.',
    paths: ['spec.preemptionPolicy'],
  },
];

/**
 * Every field of a pod's spec is judged by a rule or listed here; a test compares both with the API server's own list of fields. A field is
 * also listed if it is dangerous only under a special configuration of the cluster by its administrator. A field that a pod leaves out has no path: the LimitRange and the
 * ResourceQuota of the namespace limit containers without limits.
 */
export const UNJUDGED_FIELDS: readonly UnjudgedField[] = GROUPS.flatMap(({ reason, paths }) => paths.map((path) => ({ path, reason })));
