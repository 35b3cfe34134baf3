import { selinux } from '../../src/core/rules/selinux.ts';
import { inEachList, type Sketch, testRule } from '../support/test-rule.ts';

const labelled = (seLinuxOptions: Sketch | null): Sketch => ({ securityContext: { seLinuxOptions } });
const main = (seLinuxOptions: Sketch | null): Sketch => ({ containers: [{ name: 'main', ...labelled(seLinuxOptions) }] });
const engine = { grant: 'containers', options: { seLinuxType: 'container_engine_t' } } as const;
const own = { grant: 'containers', options: { seLinuxType: 'workspace_t' } } as const;
const POD = 'spec.securityContext.seLinuxOptions';
const TYPE = 'spec.containers[0].securityContext.seLinuxOptions.type';

testRule(selinux, {
  passes: {
    'the field is absent': { containers: [{ name: 'main' }] },
    'null and empty': { ...labelled(null), ...main({ user: '', role: null, type: '', level: '' }) },
    ...Object.fromEntries(
      ['container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'].map((type) => [`type ${type}`, main({ type })]),
    ),
    ...Object.fromEntries(
      ['s0', 's15', 's0:c7', 's10:c1023', 's0:c26,c5', 's15:c1022,c1023'].map((level) => [`level ${level}`, labelled({ level })]),
    ),
    "the operator's type on the workspace": { ...own, pod: main({ type: 'workspace_t' }) },
    'no type in an init container under a grant': { ...engine, pod: { initContainers: [{ name: 'set-up' }] } },
  },
  fails: {
    'a type that lifts all': { pod: labelled({ type: 'spc_t' }), finds: [`${POD}.type`], fixed: 'nothing' },
    'a user and a role': {
      pod: labelled({ user: 'system_u', role: 'system_r', type: 'container_t' }),
      finds: [`${POD}.user`, `${POD}.role`],
      fixed: 'nothing',
    },
    'a range of categories, which dominates every pair': {
      pod: labelled({ level: 's0:c0.c1023' }),
      finds: [`${POD}.level`],
      fixed: 'nothing',
    },
    'a range behind a range of levels': { pod: labelled({ level: 's0-s0:c0.c1023' }), finds: [`${POD}.level`], fixed: 'nothing' },
    'something before a plain level': { pod: labelled({ level: 's0-s0:c1,c2' }), finds: [`${POD}.level`], fixed: 'nothing' },
    'a range among pairs': { pod: labelled({ level: 's0:c1,c5.c9' }), finds: [`${POD}.level`], fixed: 'nothing' },
    'more categories than a pair, which dominate every pair of them': {
      pod: labelled({ level: 's0:c0,c1,c2,c3' }),
      finds: [`${POD}.level`],
      fixed: 'nothing',
    },
    ...inEachList('an odd type on a container', labelled({ type: 'unconfined_t' }), {
      finds: ['securityContext.seLinuxOptions.type'],
      fixed: 'nothing',
    }),
    ...inEachList('everything at once', labelled({ user: 'root', role: 'r', type: 'Container_t', level: 's0:c0.c9' }), {
      finds: ['user', 'role', 'type', 'level'].map((field) => `securityContext.seLinuxOptions.${field}`),
      fixed: 'nothing',
    }),
    'what an added container takes over from a pod that was there, once for the pod': {
      old: labelled({ type: 'spc_t' }),
      pod: {
        ...labelled({ type: 'spc_t' }),
        ephemeralContainers: [{ name: 'debug' }, { name: 'own', ...labelled({ type: 'container_t' }) }],
      },
      says: ['SELinux type is spc_t'],
      finds: ['spec.securityContext.seLinuxOptions.type'],
      fixed: 'nothing',
    },
    'a promise to the workspace': {
      ...engine,
      pod: { containers: [{ name: 'main' }] },
      says: ['SELinux type is not set'],
      promises: [TYPE],
      fixed: main({ type: 'container_engine_t' }),
    },
    'a promise that takes the level of the pod along, because options of a container replace those of its pod whole': {
      ...engine,
      pod: { ...labelled({ level: 's0:c26,c5' }), containers: [{ name: 'main' }] },
      promises: ['spec.containers[0].securityContext.seLinuxOptions'],
      fixed: { ...labelled({ level: 's0:c26,c5' }), ...main({ level: 's0:c26,c5', type: 'container_engine_t' }) },
    },
    'a promise that takes along what is known of the options, and nothing else': {
      ...engine,
      pod: { ...labelled({ level: 's0:c26,c5', odd: 'x' }), containers: [{ name: 'main' }] },
      promises: ['spec.containers[0].securityContext.seLinuxOptions'],
      fixed: { ...labelled({ level: 's0:c26,c5', odd: 'x' }), ...main({ level: 's0:c26,c5', type: 'container_engine_t' }) },
    },
    'a promise that leaves a refused level of the pod behind': {
      ...engine,
      pod: { ...labelled({ level: 's0:c0.c1023' }), containers: [{ name: 'main' }] },
      finds: [`${POD}.level`],
      promises: ['spec.containers[0].securityContext.seLinuxOptions'],
      advises: ['use a single pair of categories, or none', 'set it to {type: container_engine_t}'],
      fixed: 'nothing',
    },
    'a promise on the pod that options of the container hide': {
      ...engine,
      pod: { ...labelled({ type: 'container_engine_t' }), ...main({ level: 's0:c1,c2' }) },
      promises: [TYPE],
      fixed: { ...labelled({ type: 'container_engine_t' }), ...main({ level: 's0:c1,c2', type: 'container_engine_t' }) },
    },
    'a type of containers gives way to the promised': {
      ...engine,
      pod: main({ type: 'container_t' }),
      says: ['SELinux type is container_t'],
      promises: [TYPE],
      fixed: main({ type: 'container_engine_t' }),
    },
    'a promise beside a level of its own': {
      ...engine,
      pod: main({ level: 's0:c1,c2' }),
      promises: [TYPE],
      fixed: main({ level: 's0:c1,c2', type: 'container_engine_t' }),
    },
    'the promise is not kept over a refused type': { ...engine, pod: main({ type: 'spc_t' }), finds: [TYPE], fixed: 'nothing' },
    "the operator's own type, under sudo": { ...own, grant: 'sudo', pod: main({ type: 'workspace_t' }), finds: [TYPE], fixed: 'nothing' },
    "the operator's own type in an init container": {
      ...own,
      pod: { initContainers: [{ name: 'set-up', ...labelled({ type: 'workspace_t' }) }] },
      finds: ['spec.initContainers[0].securityContext.seLinuxOptions.type'],
      fixed: 'nothing',
    },
    "the operator's own type on the pod would be the init container's too": {
      ...own,
      pod: { ...labelled({ type: 'workspace_t' }), initContainers: [{ name: 'set-up' }] },
      finds: [`${POD}.type`],
      fixed: 'nothing',
    },
  },
});
