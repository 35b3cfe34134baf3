/** A field of a pod's spec that no rule judges, and why that is safe. A field has no fields of its own: a new one below another is not listed with it. */
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

const LABEL_SELECTOR = '{matchExpressions[*].{key,operator,values[*]},matchLabels.*}';
const AFFINITY_TERM = `{labelSelector.${LABEL_SELECTOR},matchLabelKeys[*],mismatchLabelKeys[*],namespaceSelector.${LABEL_SELECTOR},namespaces[*],topologyKey}`;
const PREFERRED_TERM = `preferredDuringSchedulingIgnoredDuringExecution[*].{podAffinityTerm.${AFFINITY_TERM},weight}`;
const RESOURCE_FIELD = 'resourceFieldRef.{containerName,divisor,resource}';
const POD_FIELD = 'fieldRef.{apiVersion,fieldPath}';
const KEY_TO_PATH = 'items[*].{key,mode,path}';

/** The metadata of the template of a claim. */
const OBJECT_META =
  '{annotations.*,creationTimestamp,deletionGracePeriodSeconds,deletionTimestamp,finalizers[*],generateName,generation,labels.*,' +
  'managedFields[*].{apiVersion,fieldsType,fieldsV1,manager,operation,subresource,time},name,namespace,' +
  'ownerReferences[*].{apiVersion,blockOwnerDeletion,controller,kind,name,uid},resourceVersion,selfLink,uid}';
const CLAIM =
  '{accessModes[*],dataSource.{apiGroup,kind,name},dataSourceRef.{apiGroup,kind,name,namespace},resources.{limits.*,requests.*},' +
  `selector.${LABEL_SELECTOR},storageClassName,volumeAttributesClassName,volumeMode,volumeName}`;

/** @param fields with the notation of a shell for several: `grpc.{port,service}` */
const fieldsIn = (parents: string | readonly string[], ...fields: string[]): string[] =>
  [parents].flat().flatMap((parent) => fields.flatMap((field) => expand(`${parent}.${field}`)));

function expand(path: string): string[] {
  const open = path.indexOf('{');
  if (open === -1) return [path];
  const parts: string[] = [''];
  let depth = 1;
  let at = open + 1;
  for (; depth > 0; at += 1) {
    const sign = path[at];
    if (sign === undefined) throw new Error(`a brace is not closed: ${path}`);
    if (sign === '{') depth += 1;
    if (sign === '}') depth -= 1;
    if (sign === ',' && depth === 1) parts.push('');
    else if (depth > 0) parts[parts.length - 1] += sign;
  }
  return parts.flatMap((part) => expand(path.slice(0, open) + part + path.slice(at)));
}

const GROUPS: readonly { readonly reason: string; readonly paths: readonly string[] }[] = [
  {
    reason: 'The wall isolates every program: none is trusted, so none is judged.',
    paths: [
      ...fieldsIn(CONTAINER, 'stdin', 'stdinOnce', 'tty', 'workingDir', 'targetContainerName'),
      ...fieldsIn(PROBES, 'exec.command[*]'),
      ...fieldsIn(HOOKS, 'exec.command[*]', 'sleep.seconds'),
    ],
  },
  {
    reason: 'An image policy decides which images may run, and the kubelet decides who may use one that the node has cached.',
    paths: [`${CONTAINER}.imagePullPolicy`, 'spec.imagePullSecrets[*].name'],
  },
  {
    reason:
      'Programs read variables inside the wall. `NVIDIA_*` variables give devices only where the operator configured the runtime to do so, which a pod does not show. Variables of Sysbox are judged.',
    paths: fieldsIn(
      CONTAINER,
      'env[*].value',
      `env[*].valueFrom.{${POD_FIELD},${RESOURCE_FIELD},fileKeyRef.{key,optional,path,volumeName},{configMapKeyRef,secretKeyRef}.{key,name,optional}}`,
      'envFrom[*].{configMapRef,secretRef}.{name,optional}',
    ),
  },
  {
    reason: 'The probe or hook calls only the pod, because its host is judged.',
    paths: [
      ...fieldsIn([...PROBES, ...HOOKS], 'httpGet.{httpHeaders[*].{name,value},path,port,protocol,scheme}', 'tcpSocket.port'),
      ...fieldsIn(PROBES, 'grpc.{mode,port,service}', 'failureThreshold', 'initialDelaySeconds', 'periodSeconds', 'successThreshold'),
      ...fieldsIn(PROBES, 'timeoutSeconds'),
    ],
  },
  {
    reason: 'Starts, stops and restarts of a container affect only its own pod.',
    paths: [
      ...fieldsIn(CONTAINER, 'lifecycle.stopSignal', 'resizePolicy[*].{resourceName,restartPolicy}', 'restartPolicy'),
      ...fieldsIn(CONTAINER, 'restartPolicyRules[*].{action,exitCodes.{operator,values[*]}}'),
      ...fieldsIn('spec', 'activeDeadlineSeconds', 'readinessGates[*].conditionType', 'restartPolicy'),
    ],
  },
  {
    reason: 'It is a port of the pod; ports of the node are judged.',
    paths: fieldsIn(CONTAINER, 'ports[*].containerPort', 'ports[*].name', 'ports[*].protocol'),
  },
  {
    reason: 'It only names a claim of the pod, and the pod’s claims are judged.',
    paths: fieldsIn([CONTAINER, 'spec'], 'resources.claims[*].{name,request}'),
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
    reason: 'The only options are noexec, nodev and nosuid, which restrict what a mount allows.',
    paths: fieldsIn(CONTAINER, 'volumeMounts[*].bindMountOptions[*]'),
  },
  {
    reason: 'The mode of a directory that only this pod mounts concerns only the users of this pod.',
    paths: ['spec.volumes[*].emptyDir.mode'],
  },
  {
    reason: 'The owner of files that only this pod mounts concerns only the users of this pod.',
    paths: [
      ...fieldsIn(
        'spec.volumes[*]',
        '{configMap,downwardAPI,projected,secret}.defaultUser',
        '{configMap,downwardAPI,secret}.items[*].user',
      ),
      ...fieldsIn('spec.volumes[*].projected.sources[*]', '{configMap,downwardAPI,secret}.items[*].user'),
      ...fieldsIn('spec.volumes[*].projected.sources[*]', '{clusterTrustBundle,podCertificate,serviceAccountToken}.user'),
    ],
  },
  {
    reason: 'The kubelet creates the file, and copies at most 4 KiB of it into the status of the pod.',
    paths: fieldsIn(CONTAINER, 'terminationMessagePath', 'terminationMessagePolicy'),
  },
  {
    reason: 'It is data of the namespace, which users that may create the pod may also read.',
    paths: [
      ...fieldsIn(
        'spec.volumes[*]',
        `configMap.{defaultMode,${KEY_TO_PATH},name,optional}`,
        `secret.{defaultMode,${KEY_TO_PATH},optional,secretName}`,
      ),
      ...fieldsIn('spec.volumes[*].downwardAPI', `{defaultMode,items[*].{${POD_FIELD},mode,path,${RESOURCE_FIELD}}}`),
      ...fieldsIn('spec.volumes[*].projected', 'defaultMode', `sources[*].{configMap,secret}.{${KEY_TO_PATH},name,optional}`),
      ...fieldsIn('spec.volumes[*].projected', `sources[*].downwardAPI.items[*].{${POD_FIELD},mode,path,${RESOURCE_FIELD}}`),
    ],
  },
  {
    reason: 'Storage classes and volumes, which the administrator controls, decide what a claim gets.',
    paths: fieldsIn(
      'spec.volumes[*]',
      `ephemeral.volumeClaimTemplate.{metadata.${OBJECT_META},spec.${CLAIM}}`,
      'persistentVolumeClaim.readOnly',
    ),
  },
  {
    reason: 'The driver, which is judged, decides what they mean.',
    paths: fieldsIn('spec.volumes[*].csi', 'fsType', 'nodePublishSecretRef.name', 'readOnly', 'volumeAttributes.*'),
  },
  {
    reason: 'An image’s files are mounted read-only.',
    paths: fieldsIn('spec.volumes[*]', 'image.{pullPolicy,reference}'),
  },
  {
    reason: 'A size limit only restricts; a volume without one counts against the pod’s own limits.',
    paths: ['spec.volumes[*].emptyDir.sizeLimit'],
  },
  {
    reason: 'A token’s audience is checked by the services that accept it, and RBAC decides what the token allows.',
    paths: [
      ...fieldsIn('spec.volumes[*].projected.sources[*]', 'serviceAccountToken.{audience,expirationSeconds,path}'),
      ...fieldsIn('spec', 'serviceAccount', 'serviceAccountName'),
    ],
  },
  {
    reason: 'It contains certificates of authorities, which are public.',
    paths: fieldsIn(
      'spec.volumes[*].projected.sources[*]',
      `clusterTrustBundle.{labelSelector.${LABEL_SELECTOR},name,optional,path,signerName}`,
    ),
  },
  {
    reason: 'The signer, which the administrator runs, decides what it signs. A profile may take the certificates away.',
    paths: fieldsIn(
      'spec.volumes[*].projected.sources[*]',
      'podCertificate.{certificateChainPath,credentialBundlePath,keyPath,keyType,maxExpirationSeconds,signerName,userAnnotations.*}',
    ),
  },
  {
    reason: 'Processes of one pod may see each other: the wall isolates the pod as a whole.',
    paths: ['spec.shareProcessNamespace'],
  },
  {
    reason: 'It sets names and addresses that only the pod itself sees.',
    paths: fieldsIn(
      'spec',
      'dnsConfig.{nameservers[*],options[*].{name,value},searches[*]}',
      'enableServiceLinks',
      'hostAliases[*].{hostnames[*],ip}',
      'hostname',
      'hostnameOverride',
      'setHostnameAsFQDN',
      'subdomain',
    ),
  },
  {
    reason: 'It chooses among the nodes that taints and the node selector of the runtime class allow.',
    paths: [
      ...fieldsIn('spec', `affinity.podAffinity.{${PREFERRED_TERM},requiredDuringSchedulingIgnoredDuringExecution[*].${AFFINITY_TERM}}`),
      ...fieldsIn('spec', 'schedulingGroup.podGroupName', 'schedulingGates[*].name', 'workloadRef.{name,podGroup,podGroupReplicaKey}'),
      ...fieldsIn(
        'spec.topologySpreadConstraints[*]',
        `{labelSelector.${LABEL_SELECTOR},matchLabelKeys[*],maxSkew,minDomains,nodeAffinityPolicy,nodeTaintsPolicy,topologyKey,whenUnsatisfiable}`,
      ),
      ...fieldsIn(NODE_AFFINITY, 'preferredDuringSchedulingIgnoredDuringExecution[*].weight'),
      ...fieldsIn(POD_ANTI_AFFINITY, PREFERRED_TERM),
    ],
  },
  {
    reason: 'It selects the pods that required anti-affinity keeps off a node. The namespaces of these pods are judged.',
    paths: fieldsIn(
      `${POD_ANTI_AFFINITY}.requiredDuringSchedulingIgnoredDuringExecution[*]`,
      `labelSelector.${LABEL_SELECTOR}`,
      'matchLabelKeys[*]',
      'mismatchLabelKeys[*]',
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
 * Every field of a pod's spec is judged by a rule or listed here; a test compares both with the fields of the API servers of all supported
 * versions. A field is also listed if it is dangerous only under a special configuration of the cluster by its administrator. A field that a pod leaves out has no path: the LimitRange and the
 * ResourceQuota of the namespace limit containers without limits.
 */
export const UNJUDGED_FIELDS: readonly UnjudgedField[] = GROUPS.flatMap(({ reason, paths }) => paths.map((path) => ({ path, reason })));
