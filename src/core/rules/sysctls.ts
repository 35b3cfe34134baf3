import { allOf, type Cel, listAt, listOf, not, quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { orEmpty, specOf } from '../pod.ts';
import { REMOVE, type Reporter, type Rule } from './rule.ts';

/**
 * The settings that are safe, each with the minor version of Kubernetes 1 since which it is; 0: always. Pod Security and the kubelets of older versions
 * reject a pod with a newer one.
 * Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline, policy/check_sysctls.go of k8s.io/pod-security-admission
 */
export const SAFE_SYSCTLS: ReadonlyMap<string, number> = new Map([
  ['kernel.shm_rmid_forced', 0],
  ['net.ipv4.ip_local_port_range', 0],
  ['net.ipv4.ip_local_reserved_ports', 27],
  ['net.ipv4.ip_unprivileged_port_start', 0],
  ['net.ipv4.ping_group_range', 0],
  ['net.ipv4.tcp_fin_timeout', 29],
  ['net.ipv4.tcp_keepalive_intvl', 29],
  ['net.ipv4.tcp_keepalive_probes', 29],
  ['net.ipv4.tcp_keepalive_time', 29],
  ['net.ipv4.tcp_rmem', 32],
  ['net.ipv4.tcp_syncookies', 0],
  ['net.ipv4.tcp_wmem', 32],
  ['net.ipv4.tcp_notsent_lowat', 37],
  ['net.ipv4.tcp_slow_start_after_idle', 37],
]);

/**
 * Names of settings that a pod can have for itself. No kubelet sets another for a pod, whatever its options.
 * Source: k8s.io/component-helpers node/util/sysctl/namespace.go
 */
const OF_PODS = /^(?:net\.|kernel\.(?:shm|msg)|kernel\.(?:sem|domainname)$|fs\.mqueue\.)/;

/**
 * Kernel settings outside the safe list apply to the whole node, or weaken it.
 *
 * Fields: spec.securityContext.sysctls[*].name, and the value of net.ipv4.ping_group_range
 * Allowed: Pod Security's safe list, written with dots; groups of the pod's user namespace
 * Fix: remove a setting that a later one overrides, in whatever spelling, because the API server rejects a name that is there twice; write slashes as dots, because Pod Security knows only dots; cut the range of groups to the last id of the pod, because the kernel
 * rejects a larger one and the pod never starts. None for other settings, because a workload that sets another value may need it.
 * Source: https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/
 */
export const sysctls: Rule = {
  id: 'sysctls',
  summary: 'The pod sets no kernel setting beyond the safe ones.',
  fields: ['spec.securityContext.sysctls[*].name', 'spec.securityContext.sysctls[*].value'],
  checkPod(pod, report, { requirements }) {
    const settings = orEmpty(specOf(pod).securityContext?.sysctls);
    const lastOf = new Map(settings.map(({ name }, index) => [withDots(name ?? ''), index]));
    for (const [index, { name, value }] of settings.entries()) {
      const path = ['spec', 'securityContext', 'sysctls', index];
      const dotted = withDots(name ?? '');
      if (!SAFE_SYSCTLS.has(dotted)) {
        const isOfNode = dotted !== '' && !OF_PODS.test(dotted);
        const message = `sysctl ${excerptOf(name || 'without a name')} ${isOfNode ? 'belongs to the whole node, not to a pod' : 'is not a safe one'}`;
        // A runtime with its own kernel has its own settings.
        const hasKernel = requirements.wall.hostUsers === undefined;
        report({ path, message, remedy: isOfNode && !hasKernel ? 'remove it, and ask the operator to set it on the nodes' : 'remove it' });
        continue;
      }
      if (index !== lastOf.get(dotted)) {
        report({ path, message: `sysctl ${excerptOf(name ?? '')} is set again later, and the later value counts`, fix: REMOVE });
        continue;
      }
      if (dotted !== name) {
        report({ path: [...path, 'name'], message: `sysctl ${excerptOf(name ?? '')} is written with slashes`, fix: { set: dotted } });
      }
      if (dotted === 'net.ipv4.ping_group_range') checkGroups(value ?? '', [...path, 'value'], requirements.idsPerPod, report);
    }
  },
  inTree: {
    pod({ securityContext }, { idsPerPod: ids }) {
      const dotted = dottedCel('s');
      const settings = [listAt(securityContext, 'sysctls'), 's'] as const;
      const range = textAt('s', 'value');
      return [
        {
          each: settings,
          where: `!(${dotted} in ${listOf(SAFE_SYSCTLS.keys())})`,
          says: text`sysctl ${'s.name'} is not a safe one`,
          remedy: quote('remove it'),
        },
        {
          each: settings,
          where: `${dotted} in ${listOf(SAFE_SYSCTLS.keys())} && ${dotted} != s.name`,
          says: text`sysctl ${'s.name'} is written with slashes`,
          remedy: quote('write it with dots'),
        },
        ...(ids === undefined
          ? []
          : [
              {
                each: settings,
                where: `${dotted} == 'net.ipv4.ping_group_range' && ${range}.matches('^\\\\s*[0-9]{1,20}\\\\s+[0-9]{1,20}\\\\s*$') && double(${range}.find('[0-9]+\\\\s*$').trim()) >= ${ids}.0`,
                says: text`range ${range} of ping_group_range is not among the pod's ${quote(String(ids))} ids`,
                remedy: quote(`use groups below ${ids}`),
              },
            ]),
      ];
    },
  },
  inTreeFixes: {
    pod({ securityContext }, { idsPerPod: ids }) {
      const path = 'spec.securityContext.sysctls';
      const found = listAt(securityContext, 'sysctls');
      const isSafe = `${dottedCel('s')} in ${listOf(SAFE_SYSCTLS.keys())}`;
      const isSetAgain = `${found}.exists(i, s, i > n && ${dottedCel('s')} == ${dottedCel('t')})`;
      const isKept = `!(${dottedCel('t')} in ${listOf(SAFE_SYSCTLS.keys())} && ${isSetAgain})`;
      const value =
        ids === undefined
          ? textAt('t', 'value')
          : `(${isBeyondCel('t', ids)} ? t.value.find('[0-9]+') + ' ${ids - 1}' : ${textAt('t', 'value')})`;
      const isCut = ids === undefined ? 'false' : isBeyondCel('s', ids);
      return [
        {
          path,
          where: `${found}.exists(n, t, ${not(isKept)}) || ${found}.exists(s, ${isSafe} && (${dottedCel('s')} != s.name || ${isCut}))`,
          edit: (settings) =>
            `${settings}.transformList(n, t, ${isKept}, ${dottedCel('t')} in ${listOf(SAFE_SYSCTLS.keys())} ? {'name': ${dottedCel('t')}, 'value': ${value}} : {'name': t.name, 'value': ${textAt('t', 'value')}})`,
        },
      ];
    },
  },
};

/** As the kubelet reads a name: if a slash comes before any dot, slashes separate, and a dot belongs to a part. */
function withDots(name: string): string {
  const isSlashed = /^[^./]*\//.test(name);
  return isSlashed ? name.replaceAll(/[./]/g, (separator) => (separator === '/' ? '.' : '/')) : name;
}

/** The kernel looks both groups up in the pod's user namespace, and rejects a range with one that is not mapped. */
function checkGroups(range: string, path: (string | number)[], ids: number | undefined, report: Reporter): void {
  const [, first, last] = /^\s*(\d{1,20})\s+(\d{1,20})\s*$/.exec(range) ?? [];
  if (ids === undefined || Number(last ?? 0) < ids) return;
  const message = `group ${last} of ping_group_range is not among the pod's ${ids} ids`;
  if (Number(first) < ids) report({ path, message, fix: { set: `${first} ${ids - 1}` } });
  else report({ path, message, remedy: `use groups below ${ids}` });
}

/** `withDots` of the name of a setting. A name has no space, because the API server validates it first. */
const dottedCel = (setting: Cel): Cel =>
  `(${setting}.name.matches('^[^./]*/') ? ${setting}.name.replace('.', ' ').replace('/', '.').replace(' ', '/') : ${setting}.name)`;

/** Whether the second group of a range is not among the ids, and the first one is, so that the range can be cut. */
function isBeyondCel(setting: Cel, ids: number): Cel {
  const range = textAt(setting, 'value');
  return allOf(
    `${dottedCel(setting)} == 'net.ipv4.ping_group_range'`,
    `${range}.matches(${quote(String.raw`^\s*\d{1,20}\s+\d{1,20}\s*$`)})`,
    `double(${range}.find(${quote(String.raw`\d+\s*$`)}).trim()) >= ${ids}.0`,
    `double(${range}.find('[0-9]+')) < ${ids}.0`,
  );
}
