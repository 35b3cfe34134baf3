import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { endpointsOf, observePod } from '../../src/cluster/serving.ts';

const https = { name: 'https', port: 8443 };
const other = { name: 'operations', port: 9443 };
const slice = (parts: object) => ({ addressType: 'IPv4', ports: [https], endpoints: [{ addresses: ['10.0.0.1'] }], ...parts });
const found = (parts: object) => endpointsOf([slice(parts)], 9443).map(({ host, port, isReady }) => [host, port, isReady]);

test.each([
  ['a pod without conditions counts as ready', {}, [['10.0.0.1', 8443, true]]],
  [
    'a pod that is not ready is listed',
    { endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: false } }] },
    [['10.0.0.1', 8443, false]],
  ],
  ['the port named https is used', { ports: [other, https] }, [['10.0.0.1', 8443, true]]],
  ['the only port is used', { ports: [{ port: 443 }] }, [['10.0.0.1', 443, true]]],
  ['several ports without one named https yield no pod', { ports: [other, { name: 'web', port: 1 }] }, []],
  ['a slice without ports yields no pod', { ports: null }, []],
  ['a slice without endpoints yields no pod', { endpoints: null }, []],
  ['an IPv6 address is used', { addressType: 'IPv6', endpoints: [{ addresses: ['2001:db8::1'] }] }, [['2001:db8::1', 8443, true]]],
  ['host names yield no pod', { addressType: 'FQDN', endpoints: [{ addresses: ['example.com'] }] }, []],
] as const)('In an EndpointSlice, %s', (_, parts, expected) => {
  expect(found(parts)).toEqual(expected);
});

test('F1: a pod that closes the connection is reported as not answering, with its address', async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  const pod = await observePod({ host: '127.0.0.1', port, operationsPort: port, isReady: true }, 'cloister.example.svc');
  expect(pod).toEqual({
    address: `127.0.0.1:${port}`,
    isReady: true,
    problem: expect.stringMatching(new RegExp(`^127.0.0.1:${port} does not answer: `)),
  });
  server.close();
});

test('F1: a pod that never answers is reported with the timeout', { timeout: 20_000 }, async () => {
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  const pod = await observePod({ host: '127.0.0.1', port, operationsPort: port, isReady: true }, 'cloister.example.svc');
  expect(pod.problem).toBe(`127.0.0.1:${port} does not answer: no TLS handshake within 5 s, no answer within 5 s`);
  server.close();
});
