import { podLabels } from '../../src/core/rules/pod-labels.ts';
import { type Sketch, testRule } from '../support/test-rule.ts';

const PROFILE = 'cloister.dev/profile';
const GRANT = 'cloister.dev/grant';
const labelled = (labels: Record<string, string>): Sketch => ({ metadata: { labels } });
const APPLIED = 'cloister.dev/profile-applied';
const finds = {
  profile: [`metadata.labels["${PROFILE}"]`],
  grant: [`metadata.labels["${GRANT}"]`],
  applied: [`metadata.annotations["${APPLIED}"]`],
};

const SETTLED = 'the profile of a pod is settled when it is created, so delete the pod and recreate it to change this';

testRule(podLabels, {
  passes: {
    none: {},
    null: { metadata: { labels: null } },
    'the profile that holds anyway': labelled({ [PROFILE]: 'userns' }),
    'the grant that holds anyway': labelled({ [GRANT]: 'sudo' }),
    'a smaller grant': { grant: 'containers', pod: labelled({ [GRANT]: 'none' }) },
    'labels that are not ours': labelled({ app: 'workspace', 'cloister.example.org/grant': 'containers', grant: 'containers' }),
    'an old label that cannot be read, on a pod that is updated': {
      old: labelled({ [GRANT]: 'root' }),
      pod: labelled({ [GRANT]: 'root', app: 'x' }),
    },
    'another label and another annotation, on a pod that is updated': {
      old: { metadata: { labels: { [GRANT]: 'none', app: 'x' }, annotations: { [APPLIED]: 'userns/none', note: 'x' } } },
      pod: { metadata: { labels: { [GRANT]: 'none', app: 'y' }, annotations: { [APPLIED]: 'userns/none', note: 'y' } } },
    },
    'an applied profile of any kind, on a pod that is created': { metadata: { annotations: { [APPLIED]: 'kata-qemu/none' } } },
  },
  fails: {
    'T09: a grant that is removed by an update': {
      old: labelled({ [GRANT]: 'none' }),
      pod: {},
      says: ['"none" was removed after the pod was created'],
      advises: [`keep the old value; ${SETTLED}`],
      finds: finds.grant,
      fixed: 'nothing',
    },
    'T09: a grant that is raised by an update': {
      grant: 'containers',
      old: labelled({ [GRANT]: 'none' }),
      pod: labelled({ [GRANT]: 'containers' }),
      says: ['"containers" replaced another value after the pod was created'],
      advises: [`keep the old value; ${SETTLED}`],
      finds: finds.grant,
      fixed: 'nothing',
    },
    'T09: a profile that is added by an update': {
      old: {},
      pod: labelled({ [PROFILE]: 'userns' }),
      says: ['"userns" was added after the pod was created'],
      advises: [`leave it out; ${SETTLED}`],
      finds: finds.profile,
      fixed: 'nothing',
    },
    'T09: a profile that is removed by an update': {
      old: labelled({ [PROFILE]: 'userns' }),
      pod: {},
      finds: finds.profile,
      fixed: 'nothing',
    },
    'an applied profile that is changed by an update': {
      old: { metadata: { annotations: { [APPLIED]: 'userns/none' } } },
      pod: { metadata: { annotations: { [APPLIED]: 'userns/containers' } } },
      finds: finds.applied,
      fixed: 'nothing',
    },
    'a profile that is not configured': { pod: labelled({ [PROFILE]: 'fortress' }), finds: finds.profile, fixed: 'nothing' },
    'a profile that may not be chosen': { pod: labelled({ [PROFILE]: 'gvisor' }), finds: finds.profile, fixed: 'nothing' },
    'an empty profile': { pod: labelled({ [PROFILE]: '' }), finds: finds.profile, fixed: 'nothing' },
    'a profile in another case of letters': { pod: labelled({ [PROFILE]: 'Userns' }), finds: finds.profile, fixed: 'nothing' },
    'what every object has': {
      pod: labelled({ [PROFILE]: 'constructor', [GRANT]: 'toString' }),
      finds: [...finds.profile, ...finds.grant],
      fixed: 'nothing',
    },
    'a larger grant': { grant: 'sudo', pod: labelled({ [GRANT]: 'containers' }), finds: finds.grant, fixed: 'nothing' },
    'any grant where there is none': {
      profile: 'kata-qemu',
      grant: 'none',
      pod: labelled({ [GRANT]: 'sudo' }),
      finds: finds.grant,
      fixed: 'nothing',
    },
    'a grant that is unknown': { grant: 'containers', pod: labelled({ [GRANT]: 'root' }), finds: finds.grant, fixed: 'nothing' },
    'an empty grant': { grant: 'none', pod: labelled({ [GRANT]: '' }), finds: finds.grant, fixed: 'nothing' },
    'both, each reported': { pod: labelled({ [PROFILE]: 'x', [GRANT]: 'y' }), finds: [...finds.profile, ...finds.grant], fixed: 'nothing' },
  },
});
