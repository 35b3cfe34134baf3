import { resourceClaims } from '../../src/core/rules/resource-claims.ts';
import { testRule } from '../support/test-rule.ts';

const finds = ['spec.resourceClaims[0]'];

testRule(resourceClaims, {
  passes: {
    none: {},
    'null and empty': { resourceClaims: null, containers: [{ name: 'main', resources: { claims: [] } }] },
    'an exempt claim': {
      exempt: { 'resource-claims': ['shared-gpu'] },
      pod: { resourceClaims: [{ name: 'gpu', resourceClaimName: 'shared-gpu' }] },
    },
    'an exempt template': {
      exempt: { 'resource-claims': ['gpu'] },
      pod: { resourceClaims: [{ name: 'g', resourceClaimTemplateName: 'gpu' }] },
    },
  },
  fails: {
    'a claim': {
      says: ['resource claim "gpu" asks for a device'],
      pod: { resourceClaims: [{ name: 'gpu', resourceClaimName: 'gpu' }] },
      finds,
      fixed: 'nothing',
    },
    'a template': { pod: { resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'gpu' }] }, finds, fixed: 'nothing' },
    'one that names nothing yet, so that no exemption can let it through': {
      pod: { resourceClaims: [{ name: 'gpu' }] },
      advises: ['remove it'],
      finds,
      fixed: 'nothing',
    },
    'the name in the pod is not what is exempt': {
      exempt: { 'resource-claims': ['gpu'] },
      pod: { resourceClaims: [{ name: 'gpu', resourceClaimName: 'admin-access' }] },
      finds,
      fixed: 'nothing',
    },
    'the second of two': {
      profile: 'kata-qemu',
      exempt: { 'resource-claims': ['gpu'] },
      pod: {
        resourceClaims: [
          { name: 'a', resourceClaimName: 'gpu' },
          { name: 'b', resourceClaimName: 'nic' },
        ],
      },
      finds: ['spec.resourceClaims[1]'],
      fixed: 'nothing',
    },
  },
});
