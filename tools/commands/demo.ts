import { styleText } from 'node:util';
import { diffLines } from 'diff';
import { Document, isScalar, visit } from 'yaml';
import { type ApiServer, startApiServer } from '../../test/support/api-server.ts';
import type { Client } from '../../test/support/client.ts';
import { startCloister } from '../../test/support/webhook.ts';
import { readArguments } from './shared/arguments.ts';

/**
 * `./dev demo`: starts a real API server with Cloister as its webhook, and creates one pod that is repaired and one that is denied. It prints the
 * API server's answers and removes everything afterwards.
 */

readArguments('usage: ./dev demo    starts an API server and Cloister, submits two pods, and ends', { most: 0 });

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

/** A common workspace: it has the privileges of the node, so that Docker runs inside. Its image has a rootless Docker, which works once it is repaired. */
const workspace = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'workspace' },
  spec: {
    hostNetwork: true,
    containers: [{ name: 'workspace', image: 'registry.example.com/workspace-docker:1', securityContext: { privileged: true } }],
  },
};

/** A workspace that uses the node's Docker through its socket. */
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
  say(dim('\nThe API server and Cloister are stopped, and their files are removed.'));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function show(apiServer: ApiServer): Promise<void> {
  await apiServer.createNamespace('elsewhere');
  await apiServer.createNamespace(NAMESPACE, { 'cloister.dev/enforce': 'userns' });
  const developer = await apiServer.createTenant(NAMESPACE, 'developer');
  say(`The namespace ${bold(NAMESPACE)} has the label ${bold('cloister.dev/enforce: userns')}. A developer may create pods in it.`);

  heading('1. A pod with the privileges of the node, to run Docker inside');
  await submit(developer, workspace);
  const { body: stored } = await developer.request<Pod>('GET', `${pods(NAMESPACE)}/workspace`);
  // The same pod where no profile is enforced: the defaults of the API server, which the difference leaves out.
  const { body: defaulted } = await apiServer.admin.request<Pod>('POST', `${pods('elsewhere')}?dryRun=All`, workspace);
  say(`\n${bold('requested -> stored')}`);
  showDifference(manifestOf(workspace), manifestOf(without(stored, defaulted, workspace) as Pod));

  say(
    '\nWith the image of examples/workspace-image, `docker build` and `docker run` work in this pod, for a user who is root inside and has no rights on',
  );
  say('the node: docs/promises.md lists each step, as it ran on a real node.');

  heading("2. A pod that mounts the node's Docker socket, which no repair can replace");
  await submit(developer, borrower);

  heading('The pods in the namespace');
  say(
    await kubectl(developer, [
      'get',
      'pods',
      '--output=custom-columns=POD:.metadata.name,HOST-USERS:.spec.hostUsers,HOST-NETWORK:.spec.hostNetwork',
    ]),
  );
}

/** Prints the manifest and the output of `kubectl create`. */
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

/** Without ids and times. */
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

/** The stored object without the API server's defaults, its keys in the order of the request. */
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

/** The API server adds a token of the service account to every pod. */
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
