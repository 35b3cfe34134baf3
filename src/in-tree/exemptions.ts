import { allOf, anyOf, type Cel, listOf, matchesAnyOf, quote } from '../core/cel.ts';
import type { Exemption } from '../core/exemptions.ts';
import type { Variable } from './variable.ts';

/** An exemption, and the variable that says whether it is in force for a request. */
export interface WrittenExemption extends Exemption {
  readonly variable: Cel;
}

export const writeExemptions = (exemptions: readonly Exemption[]): readonly WrittenExemption[] =>
  exemptions.map((each, index) => ({ ...each, variable: `exemption_${index}` }));

/**
 * CEL has no clock. When a pod is created, its time of creation is the present, because the API server sets it between mutating and validating admission. So a policy that refuses
 * need not be rendered again when an exemption expires. On an update it is the age of the pod: the policy lets through what was exempt when the pod was
 * created, and the webhook does not.
 */
export const isUnexpired = ({ expires }: Exemption): Cel =>
  `timestamp(object.metadata.creationTimestamp) < timestamp(${quote(expires.toISOString())})`;

/** @param isInForce what must hold besides the selection of pods */
export function exemptionVariables(exemptions: readonly WrittenExemption[], isInForce: (exemption: Exemption) => Cel): readonly Variable[] {
  return exemptions.map((exemption) => {
    const { variable, namespaces, serviceAccounts } = exemption;
    const expression = allOf(
      isInForce(exemption),
      matchesAnyOf('request.namespace', namespaces),
      matchesAnyOf('variables.service_account', serviceAccounts),
    );
    return { name: variable, expression };
  });
}

/** As the API server reads it: `serviceAccount`, the older field, counts where `serviceAccountName` is empty. */
export const SERVICE_ACCOUNT: Variable = {
  name: 'service_account',
  expression: [
    "object.spec.?serviceAccountName.orValue('') != '' ? object.spec.serviceAccountName :",
    "object.spec.?serviceAccount.orValue('') != '' ? object.spec.serviceAccount : 'default'",
  ].join('\n'),
};

/** `exempts` in CEL. @param container a name; `null`: the pod has the value, and so all its containers */
export function exemptsCel(exemptions: readonly WrittenExemption[], rule: string, value: Cel, container: Cel | null): Cel {
  return anyOf(
    ...exemptions.flatMap(({ variable, allow, containers }) => {
      const values = allow.get(rule);
      if (values === undefined || (containers !== undefined && container === null)) return [];
      const reaches = containers === undefined || container === null ? 'true' : matchesAnyOf(container, containers);
      return [allOf(`variables.${variable}`, reaches, `${value} in ${listOf(values)}`)];
    }),
  );
}
