import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { privileged } from '../../src/core/rules/privileged.ts';
import { inEachList, testRule } from '../support/test-rule.ts';

const yes = { securityContext: { privileged: true } };
const no = { securityContext: { privileged: false } };
const vouched = { profile: 'kata-qemu', grant: 'containers', options: { guestPrivileged: true } } as const;
const path = 'spec.containers[0].securityContext.privileged';

testRule(privileged, {
  passes: {
    'the field is absent': { containers: [{ name: 'main' }] },
    false: { containers: [{ name: 'main', ...no }] },
    null: { containers: [{ name: 'main', securityContext: { privileged: null } }] },
    'a guest whose operator vouches for the handler': { ...vouched, pod: { containers: [{ name: 'main', ...yes }] } },
    'a guest without the grant, not privileged': {
      ...vouched,
      grant: 'sudo',
      pod: { containers: [{ name: 'main' }] },
    },
  },
  fails: {
    ...inEachList('true', yes, { finds: ['securityContext.privileged'], fixed: no }),
    'true, in an init container that ends, and in one that lasts': {
      pod: {
        initContainers: [
          { name: 'sysctl', ...yes },
          { name: 'engine', restartPolicy: 'Always', ...yes },
        ],
      },
      finds: [0, 1].map((index) => `spec.initContainers[${index}].securityContext.privileged`),
      says: ['privileged is true, and this init container will probably fail without it', 'privileged is true'],
      fixed: {
        initContainers: [
          { name: 'sysctl', ...no },
          { name: 'engine', restartPolicy: 'Always', ...no },
        ],
      },
    },
    ...inEachList('true, under sysbox', yes, {
      profile: 'sysbox',
      grant: 'containers',
      finds: ['securityContext.privileged'],
      fixed: no,
    }),
    ...inEachList('true, under kata without the word of the operator', yes, {
      profile: 'kata-qemu',
      grant: 'containers',
      finds: ['securityContext.privileged'],
      fixed: no,
    }),
    'true, under the grant `none` in a vouched guest': {
      ...vouched,
      grant: 'none',
      pod: { containers: [{ name: 'main', ...yes }] },
      finds: [path],
      fixed: { containers: [{ name: 'main', ...no }] },
    },
    'true, in a vouched guest but outside the workspace': {
      ...vouched,
      pod: { initContainers: [{ name: 'set-up', ...yes }] },
      finds: ['spec.initContainers[0].securityContext.privileged'],
      fixed: { initContainers: [{ name: 'set-up', ...no }] },
    },
    'true, in a vouched guest, in a container that restricts itself': {
      ...vouched,
      pod: { containers: [{ name: 'main', securityContext: { privileged: true, capabilities: { drop: ['ALL'] } } }] },
      finds: [path],
      fixed: { containers: [{ name: 'main', securityContext: { privileged: false, capabilities: { drop: ['ALL'] } } }] },
    },
    'a promise to a workspace in a vouched guest': {
      ...vouched,
      pod: { containers: [{ name: 'main' }] },
      promises: [path],
      fixed: { containers: [{ name: 'main', ...yes }] },
    },
    'true, in containers that get no grant in its place, each with the reason': {
      grant: 'containers',
      pod: {
        initContainers: [{ name: 'set-up', ...yes }],
        containers: [
          { name: 'main', ...yes },
          { name: 'strict', securityContext: { privileged: true, allowPrivilegeEscalation: false } },
        ],
      },
      advises: [
        'set it to false; the container gets no grant in its place, because it ends before the workspace starts',
        'set it to false',
        'set it to false; the container gets no grant in its place, because it restricts itself',
      ],
      finds: ['spec.initContainers[0]', 'spec.containers[0]', 'spec.containers[1]'].map((at) => `${at}.securityContext.privileged`),
      fixed: {
        initContainers: [{ name: 'set-up', ...no }],
        containers: [
          { name: 'main', ...no },
          { name: 'strict', securityContext: { privileged: false, allowPrivilegeEscalation: false } },
        ],
      },
    },
    'true, in a container that is added to a running pod': {
      grant: 'containers',
      old: { hostUsers: false },
      pod: { hostUsers: false, ephemeralContainers: [{ name: 'debug', ...yes }] },
      advises: ['set it to false; the container gets no grant in its place, because it joins a running pod'],
      finds: ['spec.ephemeralContainers[0].securityContext.privileged'],
      fixed: { hostUsers: false, ephemeralContainers: [{ name: 'debug', ...no }] },
    },
    'true, in a native sidecar that grantTo does not name': {
      profile: 'sysbox',
      grant: 'containers',
      options: { grantTo: [makeNamePattern('runner')] },
      pod: { initContainers: [{ name: 'dind', restartPolicy: 'Always', ...yes }], containers: [{ name: 'runner' }] },
      advises: ['set it to false; the container gets no grant in its place, because grantTo does not match its name'],
      finds: ['spec.initContainers[0].securityContext.privileged'],
      fixed: { initContainers: [{ name: 'dind', restartPolicy: 'Always', ...no }], containers: [{ name: 'runner' }] },
    },
    'true, under grants that run no engine': {
      pod: { containers: [{ name: 'main', ...yes }] },
      advises: ['set it to false; the container gets the grant sudo instead, and no container engine works under that grant'],
      finds: [path],
      fixed: { containers: [{ name: 'main', ...no }] },
    },
    'true, under none': {
      grant: 'none',
      pod: { containers: [{ name: 'main', ...yes }] },
      advises: ['set it to false; the container gets no grant in its place, because the grant is none'],
      finds: [path],
      fixed: { containers: [{ name: 'main', ...no }] },
    },
    'an operator cannot exempt it': {
      exempt: { privileged: ['true', 'privileged', 'main', ''] },
      pod: { containers: [{ name: 'main', ...yes }] },
      finds: [path],
      fixed: { containers: [{ name: 'main', ...no }] },
    },
  },
});
