import {
  CONTAINER_FIELDS,
  CONTAINER_SPEC_FIELDS,
  MOUNT_FIELDS,
  POD_FIELDS,
  SPEC_FIELDS,
  unknownFields,
} from '../../src/core/rules/unknown-fields.ts';
import { inEachList, type Sketch, testRule } from '../support/test-rule.ts';

/** Every known field as null: only the keys are judged. */
const all = (fields: ReadonlySet<string>): Sketch => Object.fromEntries([...fields].map((field) => [field, null]));

testRule(unknownFields, {
  passes: {
    'no security context': { containers: [{ name: 'main' }] },
    null: { securityContext: null, containers: [{ name: 'main', securityContext: null }] },
    'all known fields': { securityContext: all(POD_FIELDS), containers: [{ name: 'main', securityContext: all(CONTAINER_FIELDS) }] },
    'harmless ones with a value': {
      securityContext: { runAsNonRoot: true, fsGroupChangePolicy: 'OnRootMismatch', supplementalGroupsPolicy: 'Strict' },
      containers: [{ name: 'main', securityContext: { readOnlyRootFilesystem: true, runAsNonRoot: true } }],
    },
    'an unknown one that is null, which is absent': { securityContext: { cgroupOptions: null } },
    'an exempt one': {
      exempt: { 'unknown-fields': ['cgroupOptions'] },
      pod: { containers: [{ name: 'main', securityContext: { cgroupOptions: { mountMode: 'Writable' } } }] },
    },
    'all known fields of the pod, its containers and their mounts': {
      ...all(SPEC_FIELDS),
      containers: [{ ...all(CONTAINER_SPEC_FIELDS), name: 'main', volumeMounts: [{ ...all(MOUNT_FIELDS), name: 'x', readOnly: true }] }],
      schedulingGroup: {},
    },
    'exempt ones elsewhere': {
      exempt: { 'unknown-fields': ['novelty'] },
      pod: { novelty: 1, containers: [{ name: 'main', novelty: true, volumeMounts: [{ name: 'x', novelty: true }] }] },
    },
  },
  fails: {
    'new fields elsewhere, which are reported and keep no pod from running': {
      pod: { novelty: {}, containers: [{ name: 'main', novelty: true, volumeMounts: [{ name: 'x' }, { name: 'y', mode: 'Strange' }] }] },
      unknowns: ['spec.novelty', 'spec.containers[0].novelty', 'spec.containers[0].volumeMounts[1].mode'],
      fixed: 'nothing',
    },
    'a further list of containers': {
      pod: { sidecarContainers: [{ name: 'x', image: 'y', securityContext: { privileged: true } }], containers: [{ name: 'main' }] },
      says: ['field sidecarContainers holds containers that this version does not judge'],
      unknowns: ['spec.sidecarContainers'],
      fixed: 'nothing',
    },
    'lists of other things than containers': {
      pod: { names: ['x'], groups: [null, { name: 'x' }], images: [{ image: { reference: 'x' } }] },
      says: ['names', 'groups', 'images'].map((field) => `field ${field} is unknown to this version`),
      unknowns: ['spec.names', 'spec.groups', 'spec.images'],
      fixed: 'nothing',
    },
    'one on the pod': { pod: { securityContext: { ulimits: [] } }, finds: ['spec.securityContext.ulimits'], fixed: 'nothing' },
    ...inEachList(
      'one on a container',
      { securityContext: { cgroupOptions: { mountMode: 'Writable' } } },
      {
        finds: ['securityContext.cgroupOptions'],
        fixed: 'nothing',
      },
    ),
    "a pod's field on a container": {
      pod: { containers: [{ name: 'main', securityContext: { sysctls: [] } }] },
      finds: ['spec.containers[0].securityContext.sysctls'],
      fixed: 'nothing',
    },
    'a known one in another case of letters': {
      pod: { containers: [{ name: 'main', securityContext: { Privileged: true } }] },
      finds: ['spec.containers[0].securityContext.Privileged'],
      fixed: 'nothing',
    },
    'the name of something that every object has': {
      pod: { securityContext: { constructor: {}, toString: 1 } },
      finds: ['spec.securityContext.constructor', 'spec.securityContext.toString'],
      fixed: 'nothing',
    },
  },
});
