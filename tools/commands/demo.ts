import { styleText } from 'node:util';
import { diffLines } from 'diff';
import { Document, isScalar, visit } from 'yaml';
import { type ApiServer, startApiServer } from '../../test/support/api-server.ts';
import type { Client } from '../../test/support/client.ts';
import { startCloister } from '../../test/support/webhook.ts';
import { takeNoArguments } from './shared/no-arguments.ts';

/**
 * `./dev demo`: a real API server with Cloister in front of it, one pod that is repaired and one that is refused. Everything that is
 * printed was answered by that API server; nothing of it is left afterwards.
 */

takeNoArguments('`./dev demo` takes no arguments: it starts an API server and Cloister, submits two pods, and ends');

const CONFIG = `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles:
  userns:
    grant: containers
`;

const [bold, dim, red, green, yellow] = (['bold', 'dim', 'red', 'green', 'yellow'] as const).map(
  // Plain where standard output is no terminal.
  (format) => (text: string) => styleText(format, text, { stream: process.stdout }),
) as [Paint, Paint, Paint, Paint, Paint];
type Paint = (text: string) => string;

interface Pod {
  readonly metadata: object;
  readonly spec: object;
}

/** A workspace as they are found: it was given the node so that Docker runs inside. */
const workspace = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'workspace' },
  spec: {
    hostNetwork: true,
    containers: [{ name: 'workspace', image: 'registry.example.com/workspace-docker:1', securityContext: { privileged: true } }],
  },
};

/** A workspace that borrows the node's Docker instead of running its own. */
const borrower = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'borrower' },
  spec: {
    containers: [{ name: 'workspace', image: 'docker:cli', volumeMounts: [{ name: 'docker', mountPath: '/var/run/docker.sock' }] }],
    volumes: [{ name: 'docker', hostPath: { path: '/var/run/docker.sock' } }],
  },
};

const NAMESPACE = 'workspaces';
const pods = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;

try {
  say(bold('Starting a kube-apiserver, and Cloister as its webhook, on loopback ...'));
  const apiServer = await startApiServer();
  try {
    const cloister = await startCloister(apiServer, { config: CONFIG, apply: true });
    try {
      await show(apiServer);
    } finally {
      await cloister.stop();
    }
  } finally {
    await apiServer.stop();
  }
  say(dim('\nAPI server and Cloister have ended; nothing is left of them.'));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function show(apiServer: ApiServer): Promise<void> {
  await apiServer.createNamespace('elsewhere');
  await apiServer.createNamespace(NAMESPACE, { 'cloister.dev/enforce': 'userns' });
  const developer = await apiServer.createTenant(NAMESPACE, 'developer');
  say(`The namespace ${bold(NAMESPACE)} has the label ${bold('cloister.dev/enforce: userns')}. A developer may create pods in it.`);

  heading('1. A pod that asks for the node, to run Docker inside');
  await submit(developer, workspace);
  const { body: stored } = await developer.request<Pod>('GET', `${pods(NAMESPACE)}/workspace`);
  // What the API server makes of the same pod where no profile is enforced: its defaults, which are not ours to show.
  const { body: defaulted } = await apiServer.admin.request<Pod>('POST', `${pods('elsewhere')}?dryRun=All`, workspace);
  say(`\n${bold('asked -> stored')}`);
  showDifference(manifestOf(workspace), manifestOf(without(stored, defaulted, workspace) as Pod));

  say(
    '\nIn this pod `docker build` and `docker run` work, for a user who is root inside and has no rights on the node, if its image is the one of',
  );
  say('examples/workspace-image: docs/promises.md has each step, as it was run on a real node.');

  heading("2. A pod that asks for the node's files, which no repair keeps the sense of");
  await submit(developer, borrower);

  heading('What there is now');
  say(
    await kubectl(developer, [
      'get',
      'pods',
      '--output=custom-columns=POD:.metadata.name,HOST-USERS:.spec.hostUsers,HOST-NETWORK:.spec.hostNetwork',
    ]),
  );
}

/** Shows the manifest, and what kubectl says to whoever submits it. */
async function submit(developer: Client, manifest: Pod): Promise<void> {
  say(indented(yaml(manifest)));
  say(await kubectl(developer, ['create', '--filename=-'], JSON.stringify(manifest)));
}

async function kubectl(client: Client, args: readonly string[], input = ''): Promise<string> {
  const { stdout, stderr } = await client.kubectl([...args, `--namespace=${NAMESPACE}`], { input });
  const lines = (stderr + stdout)
    .trimEnd()
    .split('\n')
    .map((line) => {
      if (line.startsWith('Warning: ')) return yellow(line);
      return line.startsWith('Error ') ? red(line) : line;
    });
  return [dim(`$ kubectl ${args.join(' ')}`), ...lines].join('\n');
}

/** Annotations are worth seeing, ids and times are not. */
function manifestOf({ metadata, spec }: Pod): string {
  const { name, annotations } = metadata as { readonly name?: string; readonly annotations?: object };
  return yaml({ metadata: { name, ...(annotations && { annotations }) }, spec });
}

function showDifference(before: string, after: string): void {
  for (const { value, added, removed } of diffLines(before, after)) {
    const [mark, paint] = added ? (['+ ', green] as const) : removed ? (['- ', red] as const) : (['  ', dim] as const);
    for (const line of value.trimEnd().split('\n')) say(paint(mark + line));
  }
}

/** What was stored, in the order in which it was asked for, but for what the API server fills in by itself. */
function without(stored: unknown, defaulted: unknown, asked: unknown): unknown {
  if (Array.isArray(stored))
    return stored.filter((each) => !isFilledIn(each)).map((each, index) => without(each, at(defaulted, index), at(asked, index)));
  if (!isObject(stored)) return stored;
  const keys = Object.keys(stored).filter((key) => at(asked, key) !== undefined || !same(stored[key], at(defaulted, key)));
  const order = Object.keys(isObject(asked) ? asked : {});
  keys.sort((a, b) => place(a) - place(b));
  return Object.fromEntries(keys.map((key) => [key, without(stored[key], at(defaulted, key), at(asked, key))]));

  function place(key: string): number {
    const index = order.indexOf(key);
    return index === -1 ? order.length : index;
  }
}

/** The token of the service account, in every pod. */
function isFilledIn(element: unknown): boolean {
  return isObject(element) && String(element.name).startsWith('kube-api-access-');
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function at(value: unknown, key: string | number): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[key] : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** As YAML, lists of words on one line. */
function yaml(value: object): string {
  const document = new Document(value);
  visit(document, {
    Seq(_, list) {
      list.flow = list.items.every(isScalar);
    },
  });
  return document.toString({ lineWidth: 0 });
}

function heading(text: string): void {
  say(`\n${bold(text)}\n`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function indented(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '  ');
}
