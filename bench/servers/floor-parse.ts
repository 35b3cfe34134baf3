import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** The minimum of a webhook in Node: it parses the request and answers with its uid and a constant patch. */

const folder = process.argv[2] ?? '.';
const patch = Buffer.from(JSON.stringify([{ op: 'add', path: '/spec/hostUsers', value: false }])).toString('base64');

const server = createServer(
  { cert: readFileSync(join(folder, 'tls.crt')), key: readFileSync(join(folder, 'tls.key')), minVersion: 'TLSv1.3' },
  (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const { uid } = JSON.parse(Buffer.concat(chunks).toString()).request;
      const answer = {
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        response: { uid, allowed: true, patchType: 'JSONPatch', patch },
      };
      const body = JSON.stringify(answer);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    });
  },
);
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listening on 127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
