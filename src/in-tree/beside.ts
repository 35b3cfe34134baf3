import { NAMESPACE_LABELS } from '../core/labels.ts';
import { NAME_LABEL, namesNoneOf, type Requirement, type Target, ungovernedNamespaces } from '../manifests/entries.ts';
import { missingPolicyBinding, missingUnknownBinding } from '../manifests/missing.ts';
import { type Manifest, type PoliciesConfig, policies } from '../manifests/policies.ts';
import { type BackstopConfig, backstop, choosersOf } from './backstop.ts';
import { unknownProfile } from './unknown.ts';

/** All policies that stand beside the webhook configurations, each with its bindings. */
export function policiesBesideWebhook(config: BackstopConfig & PoliciesConfig, target: Target): readonly Manifest[] {
  return [...policies(config, target), ...(config.backstop ? backstopObjects(config, target) : [])];
}

/**
 * The policies with which the API server enforces the profiles itself while no webhook answers or is called, and those that refuse pods while one of
 * these policies does not exist. A binding that names such a policy comes after it, so that `kubectl apply` never leaves a gap in which it refuses.
 */
function backstopObjects(config: BackstopConfig, target: Target): readonly Manifest[] {
  const { profiles, governance } = config;
  const ids = [...profiles.keys()];
  const { enforce } = NAMESPACE_LABELS;
  const outside: Requirement = { key: NAME_LABEL, operator: 'NotIn', values: ungovernedNamespaces(governance, target) };
  return [
    ...backstop(config, target),
    ...unknownProfile(config, target),
    ...[...profiles.values()].flatMap((profile) => {
      const { id } = profile;
      const choosers = choosersOf(profile, profiles);
      return [
        missingPolicyBinding(id, 'namespace', [{ key: enforce, operator: 'In', values: [id] }, outside]),
        ...(choosers.length === 0
          ? []
          : [missingPolicyBinding(id, 'chosen', [{ key: enforce, operator: 'In', values: choosers }, outside])]),
        missingPolicyBinding(id, 'opted-in', [{ key: enforce, operator: 'DoesNotExist' }, outside]),
      ];
    }),
    missingUnknownBinding([...namesNoneOf(enforce, ids), outside]),
  ];
}
