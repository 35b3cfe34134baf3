import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { apparmor } from '../../src/core/rules/apparmor.ts';
import { inEachList, type Sketch, testRule } from '../support/test-rule.ts';

const KEY = 'container.apparmor.security.beta.kubernetes.io/';
const RUNTIME = { type: 'RuntimeDefault' };
const RUNTIME_CONTEXT = { appArmorProfile: RUNTIME };
const UNCONFINED = { type: 'Unconfined' };
const FOREIGN = { type: 'Localhost', localhostProfile: 'mine' };
const NEST = { type: 'Localhost', localhostProfile: 'nest' };

const under = (appArmorProfile: Sketch | null): Sketch => ({ securityContext: { appArmorProfile } });
const main = (appArmorProfile: Sketch | null): Sketch => ({ containers: [{ name: 'main', ...under(appArmorProfile) }] });
const annotated = (value: string, container = 'main'): Sketch => ({ metadata: { annotations: { [KEY + container]: value } } });
const bare = { metadata: { annotations: {} } };
const plain = { containers: [{ name: 'main' }] };
const none = { securityContext: {} };

const POD = 'spec.securityContext.appArmorProfile';
const MAIN = 'spec.containers[0].securityContext.appArmorProfile';
const NOTE = `metadata.annotations["${KEY}main"]`;
const unconfined = { grant: 'containers', options: { appArmorProfile: 'Unconfined' } } as const;
const nest = { grant: 'containers', options: { appArmorProfile: 'nest' } } as const;

testRule(apparmor, {
  passes: {
    'the field is absent': plain,
    "the runtime's": { ...under(RUNTIME), ...main(RUNTIME) },
    null: { ...under(null), ...main(null) },
    "the runtime's, by annotation": { ...annotated('runtime/default'), ...plain },
    'an exempt local profile, by field and annotation': {
      exempt: { apparmor: ['mine'] },
      pod: { ...annotated('localhost/mine'), ...main(FOREIGN) },
    },
    'a local profile by annotation, of a container that an exemption names': {
      exempt: { apparmor: ['mine'] },
      exemptIn: ['main'],
      pod: { ...annotated('localhost/mine'), ...plain },
    },
    'an exempt lack of any': { exempt: { apparmor: ['Unconfined'] }, pod: { ...under(UNCONFINED), ...plain } },
    'nothing said, where the operator leaves AppArmor alone': { grant: 'containers', pod: plain },
    "the operator's, on the workspace": { ...unconfined, pod: main(UNCONFINED) },
    "the operator's local one, on the workspace": { ...nest, pod: main(NEST) },
    "the operator's, by annotation": { ...unconfined, pod: { ...annotated('unconfined'), ...plain } },
    "the operator's, by an annotation that counts as Unconfined": { ...unconfined, pod: { ...annotated(''), ...plain } },
    "the operator's local one, by annotation": { ...nest, pod: { ...annotated('localhost/nest'), ...plain } },
    'an annotation with a like name': {
      metadata: { annotations: { 'apparmor.security.beta.kubernetes.io/main': 'unconfined' } },
      ...plain,
    },
    'an init container under a grant': { ...unconfined, pod: { initContainers: [{ name: 'set-up' }] } },
  },
  fails: {
    'a local one that is exempt in another container': {
      exempt: { apparmor: ['mine'] },
      exemptIn: ['side'],
      pod: { ...annotated('localhost/mine'), containers: [{ name: 'main' }, { name: 'side', ...under(FOREIGN) }] },
      finds: [NOTE],
      fixed: { ...bare, containers: [{ name: 'main' }, { name: 'side', ...under(FOREIGN) }] },
    },
    'a local one on the pod that is exempt in a container': {
      exempt: { apparmor: ['mine'] },
      exemptIn: ['*'],
      pod: { ...under(FOREIGN), ...plain },
      finds: [POD],
      fixed: { ...none, ...plain },
    },
    'none on the pod': {
      pod: { ...under(UNCONFINED), ...plain },
      says: ['appArmorProfile is Unconfined'],
      finds: [POD],
      fixed: { ...none, ...plain },
    },
    'none on the pod, by the name of an exempt local one': {
      exempt: { apparmor: ['mine'] },
      pod: { ...under({ ...FOREIGN, ...UNCONFINED }), ...plain },
      finds: [POD],
      fixed: { ...none, ...plain },
    },
    'a local one of the author, on the pod': {
      pod: { ...under(FOREIGN), ...plain },
      says: ['appArmorProfile is Localhost mine'],
      finds: [POD],
      fixed: { ...none, ...plain },
    },
    ...inEachList('none on a container', under(UNCONFINED), { finds: ['securityContext.appArmorProfile'], fixed: none }),
    ...inEachList('a local one of the author', under(FOREIGN), { finds: ['securityContext.appArmorProfile'], fixed: none }),
    ...inEachList("the operator's, outside the workspace", under(UNCONFINED), {
      ...unconfined,
      options: { ...unconfined.options, grantTo: [makeNamePattern('workspace')] },
      finds: ['securityContext.appArmorProfile'],
      fixed: none,
    }),
    'an added container would have what the pod has: once for the pod, which cannot be written any more': {
      old: { ...under(UNCONFINED), ...plain },
      pod: { ...under(UNCONFINED), ...plain, ephemeralContainers: [{ name: 'debug' }] },
      finds: ['spec.securityContext.appArmorProfile'],
      fixed: 'nothing',
    },
    'an ephemeral container that an annotation waits for': {
      old: { ...annotated('unconfined', 'debug'), ...plain },
      pod: { ...annotated('unconfined', 'debug'), ...plain, ephemeralContainers: [{ name: 'debug' }] },
      advises: ['remove it, or ask the operator for an exemption (apparmor: [Unconfined])', 'set it to {type: RuntimeDefault}'],
      finds: [`metadata.annotations["${KEY}debug"]`, 'spec.ephemeralContainers[0].securityContext.appArmorProfile'],
      fixed: 'nothing',
    },
    'none, by annotation': { pod: { ...annotated('unconfined'), ...plain }, finds: [NOTE], fixed: { ...bare, ...plain } },
    'a local one, by annotation': { pod: { ...annotated('localhost/mine'), ...plain }, finds: [NOTE], fixed: { ...bare, ...plain } },
    'an annotation for a container that is not there': {
      pod: { ...annotated('unconfined', 'ghost'), ...plain },
      finds: [`metadata.annotations["${KEY}ghost"]`],
      fixed: { ...bare, ...plain },
    },
    'an annotation in an odd spelling': { pod: { ...annotated('Runtime/Default'), ...plain }, finds: [NOTE], fixed: { ...bare, ...plain } },
    'a promise to the workspace': { ...nest, pod: plain, says: ['appArmorProfile is not set'], promises: [MAIN], fixed: main(NEST) },
    'a promise of no profile at all': {
      ...unconfined,
      pod: { ...under(null), ...plain },
      promises: [MAIN],
      fixed: { ...under(null), ...main(UNCONFINED) },
    },
    'a foreign one gives way to the promised': { ...nest, pod: main(FOREIGN), finds: [MAIN], fixed: main(NEST) },
    'a foreign one on the pod, and the promise besides': {
      ...nest,
      pod: { ...under(FOREIGN), ...plain },
      finds: [POD],
      promises: [MAIN],
      fixed: { ...none, ...main(NEST) },
    },
    'a foreign annotation gives way to the promised': {
      ...nest,
      pod: { ...annotated('unconfined'), ...plain },
      finds: [NOTE, MAIN],
      fixed: { ...bare, ...main(NEST) },
    },
    "the runtime's, asked for by annotation: not changed, with a warning": {
      ...nest,
      pod: { ...annotated('runtime/default'), ...plain },
      promises: [NOTE],
      fixed: 'nothing',
    },
    "the runtime's, asked for by the pod: reported once, where it is written": {
      ...nest,
      pod: { securityContext: RUNTIME_CONTEXT, containers: [{ name: 'main' }, { name: 'other' }] },
      says: ['AppArmor is RuntimeDefault, which may deny mounts to nested containers'],
      promises: ['spec.securityContext.appArmorProfile'],
      fixed: 'nothing',
    },
    "the runtime's by annotation gives way to grantTo": {
      ...nest,
      options: { ...nest.options, grantTo: [makeNamePattern('main')] },
      pod: { ...annotated('runtime/default'), ...plain },
      promises: [NOTE, MAIN],
      fixed: { ...bare, ...main(NEST) },
    },
    "the runtime's, asked for by the workspace: not changed, with a warning": {
      ...nest,
      pod: main(RUNTIME),
      promises: [MAIN],
      fixed: 'nothing',
    },
    "the runtime's gives way to grantTo": {
      ...nest,
      options: { ...nest.options, grantTo: [makeNamePattern('main')] },
      pod: main(RUNTIME),
      promises: [MAIN],
      fixed: main(NEST),
    },
    "the runtime's gives way to no profile at all": {
      ...unconfined,
      options: { ...unconfined.options, grantTo: [makeNamePattern('main')] },
      pod: main(RUNTIME),
      promises: [MAIN],
      fixed: main(UNCONFINED),
    },
    "sudo does not need the operator's": {
      ...unconfined,
      grant: 'sudo',
      pod: main(UNCONFINED),
      finds: [MAIN],
      fixed: { containers: [{ name: 'main', ...none }] },
    },
    'no type': {
      pod: main({}),
      says: ['appArmorProfile is without a type'],
      finds: [MAIN],
      fixed: { containers: [{ name: 'main', ...none }] },
    },
    'a local one without a name': {
      pod: main({ type: 'Localhost' }),
      says: ['appArmorProfile is Localhost without a name'],
      finds: [MAIN],
      fixed: { containers: [{ name: 'main', ...none }] },
    },
  },
});
