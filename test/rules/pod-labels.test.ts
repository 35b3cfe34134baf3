import { podLabels } from '../../src/core/rules/pod-labels.ts';
import { type Sketch, testRule } from '../support/test-rule.ts';

const PROFILE = 'cloister.dev/profile';
const GRANT = 'cloister.dev/grant';
const labelled = (labels: Record<string, string>): Sketch => ({ metadata: { labels } });
const finds = { profile: [`metadata.labels["${PROFILE}"]`], grant: [`metadata.labels["${GRANT}"]`] };

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
  },
  fails: {
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
