import { listAt, not, quote, text } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { orEmpty, specOf } from '../pod.ts';
import type { Rule } from './rule.ts';

/**
 * Dynamic resource allocation assigns devices of the node, and a claim may ask for administrator access to them. A pod shows neither: it only
 * names the claim.
 *
 * Fields: spec.resourceClaims[*]
 * Allowed: none
 * Fix: none.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
 */
export const resourceClaims: Rule = {
  id: 'resource-claims',
  summary: 'The pod claims no device.',
  fields: ['spec.resourceClaims[*]'],
  exemptibleValues: 'the name of a ResourceClaim or ResourceClaimTemplate',
  checkPod(pod, report, { exempts }) {
    for (const [index, claim] of orEmpty(specOf(pod).resourceClaims).entries()) {
      const exemption = claim.resourceClaimName ?? claim.resourceClaimTemplateName ?? '';
      if (exempts(exemption)) continue;
      report({
        path: ['spec', 'resourceClaims', index],
        message: `resource claim "${excerptOf(claim.name ?? '')}" asks for a device`,
        remedy: 'remove it',
        ...(exemption === '' ? {} : { exemption }),
      });
    }
  },
  inTree: {
    pod: ({ spec, exempts }) => [
      {
        each: [listAt(spec, 'resourceClaims'), 'r'],
        where: not(exempts("r.?resourceClaimName.or(r.?resourceClaimTemplateName).orValue('')")),
        says: text`resource claim "${'r.name'}" asks for a device`,
        remedy: quote('remove it, or ask the operator for an exemption'),
      },
    ],
  },
};
