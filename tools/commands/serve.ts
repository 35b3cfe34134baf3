import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeDevCertificates, printDevProblem } from '../../src/commands/certs.ts';
import { command, type Settings, serve } from '../../src/commands/serve.ts';
import { fail } from '../../src/commands/shared/fail.ts';

/**
 * `./dev serve`: `cloister serve` on loopback, with the same flags. It creates certificates and prints how to send a review. Certificates of
 * another authority are served by `./dev cloister serve`.
 */

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
    fail(command, [printDevProblem(error, '--tls-dir')]),
  );
  print(...made);
  const serving = await serve(settings);
  if (!serving.ok) return fail(command, serving.error, 1);

  const { listen, metricsListen, profiles } = serving.value;
  const port = listen.slice(listen.lastIndexOf(':'));
  print(
    '\nTry it:',
    `  curl --cacert ${join(settings.tlsDir, 'ca.crt')} -H 'Content-Type: application/json' -d @examples/review.json https://localhost${port}/mutate/${profiles[0]}`,
    `  curl http://${metricsListen}/metrics\n`,
  );
});

await command.parseAsync();

/** To standard error: standard output carries only the log. */
function print(...lines: string[]): void {
  process.stderr.write(`${lines.join('\n')}\n`);
}
