import { probeHosts } from '../../src/core/rules/probe-hosts.ts';
import { inEachList, testRule } from '../support/test-rule.ts';

const calls = (host?: string | null) => ({ httpGet: { port: 80, ...(host === undefined ? {} : { host }) } });
const connects = (host?: string) => ({ tcpSocket: { port: 80, ...(host === undefined ? {} : { host }) } });

testRule(probeHosts, {
  passes: {
    'no probe': { containers: [{ name: 'main' }] },
    'the pod itself': {
      containers: [{ name: 'main', livenessProbe: calls(), readinessProbe: connects(), lifecycle: { preStop: calls() } }],
    },
    'empty and null, which mean the pod': {
      containers: [{ name: 'main', livenessProbe: calls(''), startupProbe: calls(null), readinessProbe: null, lifecycle: null }],
    },
    'a command, a call that has no host, a header': {
      containers: [
        {
          name: 'main',
          livenessProbe: { exec: { command: ['true'] } },
          startupProbe: { grpc: { port: 9000 } },
          readinessProbe: { httpGet: { port: 80, httpHeaders: [{ name: 'Host', value: 'example.org' }] } },
          lifecycle: { preStop: { sleep: { seconds: 1 } } },
        },
      ],
    },
  },
  fails: {
    ...inEachList(
      'a host in each handler',
      {
        livenessProbe: calls('169.254.169.254'),
        readinessProbe: connects('10.0.0.1'),
        startupProbe: calls('example.org'),
        lifecycle: { postStart: calls('127.0.0.1'), preStop: connects('localhost') },
      },
      {
        finds: [
          'livenessProbe.httpGet.host',
          'readinessProbe.tcpSocket.host',
          'startupProbe.httpGet.host',
          'lifecycle.postStart.httpGet.host',
          'lifecycle.preStop.tcpSocket.host',
        ],
        fixed: {
          livenessProbe: calls(),
          readinessProbe: connects(),
          startupProbe: calls(),
          lifecycle: { postStart: calls(), preStop: connects() },
        },
      },
    ),
    'two in one handler': {
      profile: 'gvisor',
      pod: { containers: [{ name: 'main', livenessProbe: { ...calls('a'), ...connects('b') } }] },
      finds: ['spec.containers[0].livenessProbe.httpGet.host', 'spec.containers[0].livenessProbe.tcpSocket.host'],
      fixed: { containers: [{ name: 'main', livenessProbe: { ...calls(), ...connects() } }] },
    },
  },
});
