import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeDevCertificates, unwritable } from '../../src/commands/certs.ts';
import { command, type Settings, serve } from '../../src/commands/serve.ts';

/** `cloister serve` for this machine alone: it makes its certificates itself, and says how to send it a review. Takes the same flags. */

const EXAMPLE = 'examples/config.yaml';

const here = {
  config: existsSync(EXAMPLE) ? EXAMPLE : undefined,
  tlsDir: 'certs',
  listen: { host: '127.0.0.1', port: 8443 },
  operationsListen: { host: '127.0.0.1', port: 9443 },
  metricsListen: { host: '127.0.0.1', port: 9444 },
  logLevel: 'debug',
  drainDelay: 0,
};
for (const [name, value] of Object.entries(here)) command.setOptionValueWithSource(name, value, 'default');

command.action(async (settings: Settings) => {
  const made = await makeDevCertificates(settings.tlsDir, { hosts: [], force: false, now: new Date() }).catch((error: unknown) =>
    command.error(unwritable(error).replace('--dir', '--tls-dir')),
  );
  tell(...made);
  const serving = await serve(settings);
  if (!serving.ok) command.error(serving.error.join('\n'));

  const { listen, metricsListen, profiles } = serving.value;
  const port = listen.slice(listen.lastIndexOf(':'));
  tell(
    '\nTry it:',
    `  curl --cacert ${join(settings.tlsDir, 'ca.crt')} -H 'Content-Type: application/json' -d @examples/review.json https://localhost${port}/mutate/${profiles[0]}`,
    `  curl http://${metricsListen}/metrics\n`,
  );
});

await command.parseAsync();

/** Beside the log, which has standard output to itself. */
function tell(...lines: string[]): void {
  process.stderr.write(`${lines.join('\n')}\n`);
}
