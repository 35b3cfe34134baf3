import { gracePeriod } from '../../src/core/rules/grace-period.ts';
import { type Sketch, testRule } from '../support/test-rule.ts';

const YEAR = 31_536_000;
const pod = (terminationGracePeriodSeconds: number | null): Sketch => ({ terminationGracePeriodSeconds, containers: [{ name: 'main' }] });
const probed = (seconds: number): Sketch => ({
  initContainers: [{ name: 'sidecar', startupProbe: { terminationGracePeriodSeconds: seconds } }],
  containers: [
    { name: 'main', livenessProbe: { terminationGracePeriodSeconds: seconds }, readinessProbe: { terminationGracePeriodSeconds: seconds } },
  ],
});

const responding = (...names: string[]): Sketch => ({ evictionResponders: names.map((name) => ({ name, priority: 10_000 })) });

testRule(gracePeriod, {
  passes: {
    'none, which is half a minute': {},
    null: pod(null),
    zero: pod(0),
    'an hour': pod(3_600),
    'an hour for a probe': probed(3_600),
    'a negative one, which the API server makes one second': pod(-1),
    'no eviction responder': { evictionResponders: [] },
    'null responders': { evictionResponders: null },
    'a day, where the operator lets it': { options: { maxTerminationGracePeriodSeconds: 86_400 }, pod: pod(86_400) },
  },
  fails: {
    'a year': {
      pod: pod(YEAR),
      finds: ['spec.terminationGracePeriodSeconds'],
      says: ['the grace period of 31536000 seconds is longer than 3600'],
      fixed: pod(3_600),
    },
    'eviction responders, which can hold up a drain': {
      pod: responding('acme.io/checkpoint', 'acme.io/other'),
      finds: ['spec.evictionResponders[0]', 'spec.evictionResponders[1]'],
      says: [
        'eviction responder "acme.io/checkpoint" can hold up a drain of the node',
        'eviction responder "acme.io/other" can hold up a drain of the node',
      ],
      fixed: responding(),
    },
    'an eviction responder without a name': {
      pod: { evictionResponders: [{}] },
      finds: ['spec.evictionResponders[0]'],
      fixed: responding(),
    },
    'a second too much': { pod: pod(3_601), finds: ['spec.terminationGracePeriodSeconds'], fixed: pod(3_600) },
    'an hour, where the operator gives a minute': {
      options: { maxTerminationGracePeriodSeconds: 60 },
      pod: pod(3_600),
      finds: ['spec.terminationGracePeriodSeconds'],
      fixed: pod(60),
    },
    'a year for each probe': {
      pod: probed(YEAR),
      finds: [
        'spec.initContainers[0].startupProbe.terminationGracePeriodSeconds',
        'spec.containers[0].livenessProbe.terminationGracePeriodSeconds',
        'spec.containers[0].readinessProbe.terminationGracePeriodSeconds',
      ],
      fixed: probed(3_600),
    },
  },
});
