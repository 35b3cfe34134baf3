import { hostPorts } from '../../src/core/rules/host-ports.ts';
import { inEachList, testRule } from '../support/test-rule.ts';

testRule(hostPorts, {
  passes: {
    'no port': { containers: [{ name: 'main' }] },
    'a port of its own': { containers: [{ name: 'main', ports: [{ containerPort: 8080 }] }] },
    'zero, which takes none': { containers: [{ name: 'main', ports: [{ containerPort: 8080, hostPort: 0 }] }] },
    null: { containers: [{ name: 'main', ports: [{ containerPort: 8080, hostPort: null, hostIP: null }] }] },
    'an address without a port': { containers: [{ name: 'main', ports: [{ containerPort: 8080, hostIP: '127.0.0.1' }] }] },
  },
  fails: {
    ...inEachList(
      'a port of the node, and the container port stays',
      { ports: [{ containerPort: 8080, hostPort: 80, protocol: 'TCP' }] },
      { finds: ['ports[0].hostPort'], fixed: { ports: [{ containerPort: 8080, protocol: 'TCP' }] } },
    ),
    'the port goes with its address': {
      pod: { containers: [{ name: 'main', ports: [{ containerPort: 22, hostPort: 2222, hostIP: '192.0.2.1' }] }] },
      finds: ['spec.containers[0].ports[0].hostPort', 'spec.containers[0].ports[0].hostIP'],
      fixed: { containers: [{ name: 'main', ports: [{ containerPort: 22 }] }] },
    },
    "what the API server copied for the node's network": {
      pod: {
        hostNetwork: true,
        containers: [
          {
            name: 'main',
            ports: [
              { containerPort: 80, hostPort: 80 },
              { containerPort: 81, hostPort: 81 },
            ],
          },
        ],
      },
      finds: ['spec.containers[0].ports[0].hostPort', 'spec.containers[0].ports[1].hostPort'],
      fixed: { hostNetwork: true, containers: [{ name: 'main', ports: [{ containerPort: 80 }, { containerPort: 81 }] }] },
    },
    'only the second of two': {
      profile: 'gvisor',
      pod: { containers: [{ name: 'main', ports: [{ containerPort: 80 }, { containerPort: 81, hostPort: 81 }] }] },
      finds: ['spec.containers[0].ports[1].hostPort'],
      fixed: { containers: [{ name: 'main', ports: [{ containerPort: 80 }, { containerPort: 81 }] }] },
    },
  },
});
