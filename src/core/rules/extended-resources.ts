import { allOf, anyOf, type Cel, listOf, not, quote, text } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import type { CelFinding } from '../in-tree.ts';
import { entryOf, type Resources, specOf } from '../pod.ts';
import type { Reporter, Rule, RuleContext } from './rule.ts';

/**
 * Device plugins provide extended resources: a request for one puts a device of the node into the container.
 *
 * Fields: limits and requests of each container's resources and of the pod's
 * Allowed: Kubernetes' own resources, those that the profile lists in `devices`, and any resource with the quantity 0, which charts write
 * Fix: none.
 * Source: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources
 */
export const extendedResources: Rule = {
  id: 'extended-resources',
  summary: 'Containers ask for no device of the node beyond those that the profile lists.',
  fields: [
    'spec.resources.limits.*',
    'spec.resources.requests.*',
    'spec.containers[*].resources.limits.*',
    'spec.containers[*].resources.requests.*',
  ],
  exemptibleValues: 'the name of a resource, for example nvidia.com/gpu',
  checkPod(pod, report, context) {
    check(specOf(pod).resources, ['spec', 'resources'], report, context);
  },
  checkContainer({ spec }, report, context) {
    check(spec.resources, ['resources'], report, context);
  },
  inTree: {
    pod: ({ spec, exempts }, { allowedDevices }) => devicesCel(`${spec}.?resources`, allowedDevices, exempts('r')),
    container: ({ exempts }, { allowedDevices }) => devicesCel('c.?resources', allowedDevices, exempts('r')),
  },
};

const REMEDY = 'remove it, or ask the operator to list it in the devices of the profile';

const LISTS = ['limits', 'requests'] as const;

function check(resources: Resources | null | undefined, path: string[], report: Reporter, { requirements, exempts }: RuleContext): void {
  if (resources == null) return;
  for (const list of LISTS) {
    const quantities = resources[list];
    for (const name in quantities) {
      if (isNative(name) || isZero(quantities[name]) || requirements.allowedDevices.has(name) || exempts(name)) continue;
      // The API server asks for the same number in both lists, so that one finding is enough.
      if (list === 'requests' && !isZero(entryOf(resources.limits, name) ?? 0)) continue;
      report({
        path: [...path, list, name],
        message: `resource ${excerptOf(name)} is a device of the node`,
        remedy: REMEDY,
      });
    }
  }
}

const isZero = (quantity: unknown): boolean => quantity === 0 || quantity === '0';

/** Names with a domain are never native, not even below `kubernetes.io`: `deviceclass.resource.kubernetes.io/<class>` is a resource claim (KEP-5004). */
const isNative = (name: string): boolean => !name.includes('/');

/** @param resources the resources or none */
function devicesCel(resources: Cel, allowed: ReadonlySet<string>, isExempt: Cel): readonly CelFinding[] {
  const [limits, requests] = [`${resources}.?limits.orValue({})`, `${resources}.?requests.orValue({})`];
  const isDevice = (list: Cel): Cel => allOf("r.contains('/')", `${list}[r] != '0'`, not(anyOf(`r in ${listOf(allowed)}`, isExempt)));
  const finding = { says: text`resource ${'r'} is a device of the node`, remedy: quote(REMEDY) };
  return [
    { each: [limits, 'r'], where: isDevice(limits), ...finding },
    { each: [requests, 'r'], where: allOf(isDevice(requests), `!(r in ${limits} && ${limits}[r] != '0')`), ...finding },
  ];
}
