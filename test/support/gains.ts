import { BASELINE } from './baseline.ts';
import type { Doc, Setting } from './hostile-pods.ts';
import { beyondBaseline, chosenBy, grantOf, isNamed, lasts, list, map } from './oracle.ts';

/**
 * The privileges that a pod has now and had not before, beyond those that the grant lists.
 * @param governing the pod whose labels count: of an update the old one
 */
export function gainsOf(before: Doc, after: Doc, governing: Doc, setting: Setting): string[] {
  const given = chosenBy(governing, setting);
  const gains: string[] = [];
  const grant = grantOf(governing, given) ?? given.grant;
  const [old, now] = [map(before.spec), map(after.spec)];
  for (const field of [
    'hostNetwork',
    'hostPID',
    'hostIPC',
    'nodeName',
    'nodeSelector',
    'affinity',
    'tolerations',
    'resourceClaims',
    'os',
  ]) {
    if (field === 'tolerations' && list(now[field]).every((each) => list(old[field]).some((one) => same(one, each)))) continue;
    if (field === 'affinity' && same(withoutNamespaces(old), withoutNamespaces(now)) && !reachesMore(old, now)) continue;
    if (now[field] !== undefined && !same(old[field], now[field])) gains.push(field);
  }
  if (now.hostUsers === true && old.hostUsers !== true) gains.push('hostUsers');
  if (now.automountServiceAccountToken === true && old.automountServiceAccountToken !== true) gains.push('automountServiceAccountToken');
  gains.push(...gainsOfVolumes(old, now, given, grant));

  for (const kind of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const [index, container] of list(now[kind]).map(map).entries()) {
      const gets = lasts(container, kind) && isNamed(container, given) ? grant : 'none';
      gains.push(...gainsOfContainer(map(list(old[kind])[index]), container, given, gets).map((each) => `${each} of ${kind}/${index}`));
    }
  }
  return gains;
}

const antiAffinityOf = ({ affinity }: Doc): Doc[] =>
  list(map(map(affinity).podAntiAffinity).requiredDuringSchedulingIgnoredDuringExecution).map(map);

/** The affinity without the namespaces that its required anti-affinity selects. */
function withoutNamespaces(spec: Doc): unknown {
  const terms = antiAffinityOf(spec).map(({ namespaces: _, namespaceSelector: __, ...term }) => term);
  const podAntiAffinity = { ...map(map(spec.affinity).podAntiAffinity), requiredDuringSchedulingIgnoredDuringExecution: terms };
  return { ...map(spec.affinity), podAntiAffinity };
}

/** Whether a term selects namespaces that it did not select before: a repair only removes both fields. */
function reachesMore(before: Doc, after: Doc): boolean {
  const old = antiAffinityOf(before);
  return antiAffinityOf(after).some(({ namespaces, namespaceSelector }, index) => {
    const was = map(old[index]);
    return (
      (namespaces !== undefined && !same(namespaces, was.namespaces)) ||
      (namespaceSelector !== undefined && !same(namespaceSelector, was.namespaceSelector))
    );
  });
}

function gainsOfVolumes(before: Doc, after: Doc, given: Setting, grant: string): string[] {
  const [old, now] = [list(before.volumes).map(map), list(after.volumes).map(map)];
  const added = now.filter((each) => !old.some((one) => same(one, each)));
  const removed = old.filter((each) => !now.some((one) => same(one, each)));
  const { serviceAccountToken } = given;
  return [
    ...added.filter(
      ({ name, ...source }) =>
        grant !== 'containers' ||
        !String(name).startsWith('cloister-storage-') ||
        !same(source, { emptyDir: storageOf(String(name), after, given) }),
    ),
    ...removed.filter(
      ({ name, projected }) =>
        serviceAccountToken !== 'remove' ||
        !String(name).startsWith('kube-api-access-') ||
        !list(map(projected).sources).some((each) => map(each).serviceAccountToken != null),
    ),
  ].map((each) => `volume ${JSON.stringify(each)}`);
}

/** Memory limits that generated pods have, and the share of each that a volume of memory may take. */
const SHARES: Readonly<Record<string, string>> = { '1': '256Mi', '4Gi': '2Gi', '0.75Gi': '384Mi', '3e9': '1430Mi', '500M': '256Mi' };

/** The volume that a repair adds, by the setting and by its container. */
function storageOf(name: string, { initContainers, containers, resources }: Doc, { backend, storageMedium, storageSize }: Setting): Doc {
  if (!backend.startsWith('kata-')) return {};
  const medium = storageMedium === 'disk' ? {} : { medium: 'Memory' };
  if (storageSize !== undefined) return { ...medium, sizeLimit: storageSize };
  if (storageMedium === 'disk') return {};
  const user = [...list(initContainers), ...list(containers)]
    .map(map)
    .find(({ volumeMounts }) => list(volumeMounts).some((each) => map(each).name === name));
  const limits = [map(user).resources, resources].map((each) => String(map(map(each).limits).memory));
  return { ...medium, sizeLimit: SHARES[limits.find((each) => Object.hasOwn(SHARES, each)) ?? ''] ?? '1Gi' };
}

function gainsOfContainer(before: Doc, after: Doc, given: Setting, grant: string): string[] {
  const gains: string[] = [];
  const [old, now] = [map(before.securityContext), map(after.securityContext)];
  const isKata = given.backend.startsWith('kata-');
  const hasContainers = grant === 'containers';

  if (now.privileged === true && old.privileged !== true && !(hasContainers && isKata && given.guestPrivileged)) gains.push('privileged');
  if (now.allowPrivilegeEscalation === true && old.allowPrivilegeEscalation !== true && grant === 'none') gains.push('escalation');
  if (old.allowPrivilegeEscalation === false && now.allowPrivilegeEscalation !== false && given.grantTo === undefined)
    gains.push('escalation');
  if (now.procMount === 'Unmasked' && old.procMount !== 'Unmasked' && !(hasContainers && given.backend === 'userns'))
    gains.push('procMount');

  const [had, has] = [list(map(old.capabilities).add), list(map(now.capabilities).add)];
  const spelled = (name: unknown): string => String(name).toUpperCase().replace(/^CAP_/, '');
  const listed = hasContainers || (grant === 'sudo' && given.backend === 'sysbox') ? [...BASELINE, ...beyondBaseline(given)] : [];
  for (const each of has) {
    if (!had.some((one) => spelled(one) === each || one === each) && !listed.includes(String(each))) gains.push(`capability ${each}`);
  }
  const [dropped, drops] = [list(map(old.capabilities).drop), list(map(now.capabilities).drop)];
  if (!dropped.every((each) => drops.includes(each)) && given.grantTo === undefined) gains.push('a capability that is dropped no more');

  const seccomp = map(now.seccompProfile);
  if (
    !same(old.seccompProfile, now.seccompProfile) &&
    seccomp.type !== 'RuntimeDefault' &&
    !(hasContainers && given.backend === 'userns')
  ) {
    gains.push('seccompProfile');
  }
  const appArmor = map(now.appArmorProfile ?? { type: 'RuntimeDefault' });
  if (!same(old.appArmorProfile, now.appArmorProfile) && appArmor.type !== 'RuntimeDefault' && !hasContainers)
    gains.push('appArmorProfile');
  if (!same(old.seLinuxOptions, now.seLinuxOptions) && !hasContainers) gains.push('seLinuxOptions');
  for (const field of ['runAsUser', 'runAsGroup', 'runAsNonRoot']) if (!same(old[field], now[field])) gains.push(field);
  if (now.windowsOptions != null && !same(old.windowsOptions, now.windowsOptions)) gains.push('windowsOptions');
  for (const field of ['image', 'command', 'args', 'volumeDevices', 'resources', 'envFrom']) {
    if (!same(before[field], after[field])) gains.push(field);
  }
  const added = list(after.volumeMounts).filter(
    (each) => !list(before.volumeMounts).some((one) => map(one).mountPath === map(each).mountPath),
  );
  if (!added.every((each) => hasContainers && String(map(each).name).startsWith('cloister-storage-'))) gains.push('volumeMounts');
  const variables = list(after.env).filter((each) => !list(before.env).some((one) => same(one, each)));
  for (const { name, value } of variables.map(map)) {
    if (given.backend !== 'sysbox' || name !== 'SYSBOX_SYSCONT_MODE' || value !== (hasContainers && value === 'TRUE' ? 'TRUE' : 'FALSE'))
      gains.push('env');
  }
  return gains;
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
