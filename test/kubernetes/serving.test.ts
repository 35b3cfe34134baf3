import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { askServer, endpointsOf } from '../../src/cluster/serving.ts';

const https = { name: 'https', port: 8443 };
const other = { name: 'operations', port: 9443 };
const slice = (parts: object) => ({ addressType: 'IPv4', ports: [https], endpoints: [{ addresses: ['10.0.0.1'] }], ...parts });
const found = (parts: object) => endpointsOf([slice(parts)], 9443).map(({ host, port, isReady }) => [host, port, isReady]);

test.each([
  ['a pod that says nothing is ready', {}, [['10.0.0.1', 8443, true]]],
  [
    'one that is not ready is found too',
    { endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: false } }] },
    [['10.0.0.1', 8443, false]],
  ],
  ['the port called https is the one', { ports: [other, https] }, [['10.0.0.1', 8443, true]]],
  ['or the only one', { ports: [{ port: 443 }] }, [['10.0.0.1', 443, true]]],
  ['several ports, none called https', { ports: [other, { name: 'web', port: 1 }] }, []],
  ['no ports', { ports: null }, []],
  ['no endpoints', { endpoints: null }, []],
  ['IPv6', { addressType: 'IPv6', endpoints: [{ addresses: ['2001:db8::1'] }] }, [['2001:db8::1', 8443, true]]],
  ['names are no pods', { addressType: 'FQDN', endpoints: [{ addresses: ['example.com'] }] }, []],
] as const)('in an EndpointSlice: %s', (_, parts, expected) => {
  expect(found(parts)).toEqual(expected);
});

test('F1: a pod that hangs up is told as one that does not answer, with its address', async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  const told = await askServer({ host: '127.0.0.1', port, operationsPort: port, isReady: true }, 'cloister.example.svc');
  expect(told).toEqual({
    address: `127.0.0.1:${port}`,
    isReady: true,
    problem: expect.stringMatching(new RegExp(`^127.0.0.1:${port} does not answer: `)),
  });
  server.close();
});
