import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { apply } from '../../src/apply-patch.ts';
import { parseConfig } from '../../src/config/load.ts';
import { rules as allRules, ruleById } from '../../src/core/rules/index.ts';
import type { Rule } from '../../src/core/rules/rule.ts';
import { type BackstopConfig, backstop } from '../../src/in-tree/backstop.ts';
import { entriesOf } from '../../src/manifests/entries.ts';
import { makeRespond } from '../../src/webhook/review/respond.ts';
import type { ApiServer } from './api-server.ts';
import type { Answer, Method } from './client.ts';
import type { Doc, Setting } from './hostile-pods.ts';
import { differences } from './kubernetes.ts';
import { authority, startServer } from './webhook-server.ts';

/** What one of the two validators says about a pod. */
export interface Opinion {
  readonly isRefused: boolean;
  /** The ids of the rules that it names, in alphabetical order. */
  readonly rules: readonly string[];
  readonly text: string;
}

/** Both opinions of one request, or why the API server refused it before it asked them. */
export type Judged = { readonly webhook: Opinion; readonly policy: Opinion } | { readonly unasked: Answer<Status> };

export interface Status {
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason: string; readonly field?: string; readonly message: string }[] };
}

/** A request about a pod. */
export interface Question {
  readonly method: Method;
  /** Behind `/pods`: empty for a creation. */
  readonly path: string;
  readonly body: Doc;
}

export const creationOf = (pod: Doc): Question => ({ method: 'POST', path: '', body: pod });

/**
 * The webhook and the policies of some profiles, on one API server, which asks both about the same bytes: the webhook denies, and the policies warn.
 * Each setting is the profile `own-<n>`, which is enforced in a namespace of its own.
 */
export interface Parity {
  readonly config: BackstopConfig;
  readonly namespaces: readonly string[];
  /** Stores a pod, or an update of one, before its namespace has a profile. */
  store(index: number, question: Question): Promise<Answer<Status>>;
  /** Labels the namespaces, and waits until both validators judge their pods. */
  enforce(): Promise<void>;
  ask(index: number, question: Question): Promise<Judged>;
  stop(): Promise<void>;
}

export interface ParityOptions {
  readonly settings: readonly Setting[];
  /** The rules of the policies of a setting. Default: all. */
  readonly rulesOf?: (index: number) => readonly Rule[];
}

export const profileIdOf = (index: number): string => `own-${index}`;

/** Namespaces whose pods no kubelet ends stay, so that no name is used twice. */
let started = 0;

/** One at a time for an API server. */
export async function startParity(apiServer: ApiServer, { settings, rulesOf = () => allRules }: ParityOptions): Promise<Parity> {
  const { admin } = apiServer;
  started += 1;
  const namespaces = settings.map((_, index) => `parity-${started}-${index}`);
  const text = configTextOf(settings, namespaces);
  const parsed = parseConfig(text, 'parity');
  if (!parsed.ok) throw new Error(`${parsed.error.join('\n')}\n${text}`);
  const config = parsed.value;
  const server = await startServer(makeRespond(config, { apply, now: () => new Date() }));
  const indices = settings.map((_, index) => index);
  const objects = objectsFor(config, {
    url: `https://127.0.0.1:${server.port}`,
    ca: authority.certificate,
    rulesOf: (id) => rulesOf(indices.find((index) => profileIdOf(index) === id) ?? -1),
  });
  // One after another: an API server compiles each policy before it stores it.
  for (const object of objects) await done(() => admin.request('POST', pathOf(object), object), isStored);
  await forEach(namespaces, (namespace) => apiServer.createNamespace(namespace));

  function send(index: number, { method, path, body }: Question, query = ''): Promise<Answer<Status>> {
    return admin.request<Status>(method, `/api/v1/namespaces/${namespaces[index]}/pods${path}${query}`, body);
  }
  const ask = async (index: number, question: Question): Promise<Judged> => judgedBy(await send(index, question, '?dryRun=All'));

  return {
    config,
    namespaces,
    ask,
    store: send,
    async enforce() {
      await forEach(indices, async (index) => {
        const labels = { 'cloister.dev/enforce': profileIdOf(index) };
        await done(() => admin.request('PATCH', `/api/v1/namespaces/${namespaces[index]}`, { metadata: { labels } }, MERGE));
      });
      for (const index of indices) await inEffect(() => ask(index, creationOf(PROBE)), profileIdOf(index));
    },
    async stop() {
      await forEach(objects, (object) => done(() => admin.request('DELETE', `${pathOf(object)}/${object.metadata.name}`), isGone));
      for (const namespace of namespaces) await done(() => admin.request('DELETE', `/api/v1/namespaces/${namespace}`), isGone);
      await server.stop();
    },
  };
}

const MERGE = { contentType: 'application/merge-patch+json' };

/** A pod that every profile refuses. */
const PROBE: Doc = { metadata: { name: 'probe' }, spec: { containers: [{ name: 'main', image: 'test' }], hostPID: true } };

const PATIENCE_MS = 300_000;

/** Both validators judge a pod some time after their objects are stored, and never stop. */
async function inEffect(probe: () => Promise<Judged>, where: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const judged = await probe();
    if ('webhook' in judged && judged.webhook.isRefused && judged.policy.isRefused) return;
    if (Date.now() > deadline) throw new Error(`profile ${where} is not enforced after ${PATIENCE_MS} ms: ${JSON.stringify(judged)}`);
    await sleep(50);
  }
}

/** Sends until it is done: an API server on a busy machine may give up on a large policy. */
async function done(send: () => Promise<Answer>, isDone: (status: number) => boolean = (status) => status < 300): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { status, body } = await send();
    if (isDone(status)) return;
    const mayPass = status === 429 || status >= 500;
    if (!mayPass || Date.now() > deadline) throw new Error(`${status} ${JSON.stringify(body).slice(0, 4_000)}`);
    await sleep(500);
  }
}

/** A request that was given up on may have been stored. */
const isStored = (status: number): boolean => status < 300 || status === 409;
const isGone = (status: number): boolean => status < 300 || status === 404;

interface Written {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly [field: string]: unknown;
}

const PLURALS: Readonly<Record<string, string>> = {
  ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
  ValidatingAdmissionPolicyBinding: 'validatingadmissionpolicybindings',
  ValidatingWebhookConfiguration: 'validatingwebhookconfigurations',
};
const pathOf = ({ kind }: Written): string => `/apis/admissionregistration.k8s.io/v1/${PLURALS[kind]}`;

interface Place {
  readonly url: string;
  readonly ca: string;
  readonly rulesOf: (profile: string) => readonly Rule[];
}

/** The entries that deny, and the policies, whose bindings warn. */
function objectsFor(config: BackstopConfig, { url, ca, rulesOf }: Place): readonly Written[] {
  const [, { webhooks, ...validating }] = entriesOf(config, { url, ca });
  const denying = webhooks.filter(({ name }) => name.endsWith('.namespace.enforce.cloister.dev') && !name.startsWith('namespace.unknown'));
  const policies = backstop(config, { url }, rulesOf) as readonly Written[];
  const warning = policies.map((object) =>
    object.kind === 'ValidatingAdmissionPolicyBinding'
      ? { ...object, spec: { ...(object.spec as object), validationActions: ['Warn'] } }
      : object,
  );
  return [{ ...validating, webhooks: denying }, ...warning];
}

/** The configuration file. */
function configTextOf(settings: readonly Setting[], namespaces: readonly string[]): string {
  return stringify({
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'Config',
    timeoutSeconds: { enforce: 10 },
    profiles: {
      other: { extends: 'userns', grant: 'sudo' },
      ...Object.fromEntries(
        settings.map(({ id: _, backend, exempt: __, exemptIn: ___, ...options }, index) => [
          profileIdOf(index),
          { extends: backend, ...options },
        ]),
      ),
    },
    exemptions: settings.flatMap(({ exempt = {}, exemptIn }, index) =>
      Object.entries(exempt)
        .filter(([rule]) => ruleById.get(rule)?.exemptibleValues !== undefined)
        .map(([rule, values]) => ({
          reason: 'test',
          expires: '2100-01-01',
          namespaces: [namespaces[index]],
          serviceAccounts: ['*'],
          ...(exemptIn !== undefined && ruleById.get(rule)?.checkContainer !== undefined && { containers: exemptIn }),
          allow: { [rule]: values },
        })),
    ),
  });
}

/** Whether a configuration file can say it. */
export const isConfigurable = (setting: Setting): boolean => parseConfig(configTextOf([setting], ['any']), 'parity').ok;

function judgedBy(answer: Answer<Status>): Judged {
  const { status, body, warnings } = answer;
  const message = body.message ?? '';
  const isDenied = status === 403 && message.startsWith('admission webhook "');
  if (status >= 300 && !isDenied) return { unasked: answer };
  const { causes: all = [] } = body.details ?? {};
  const causes = all.filter(({ message: each }) => !EXPLANATION.test(each));
  const text = warnings.filter((warning) => warning.startsWith(POLICY_WARNING)).join('\n');
  return {
    webhook: {
      isRefused: isDenied && (causes.length > 0 || all.length === 0),
      rules: sorted(causes.map(({ reason }) => reason)),
      text: message,
    },
    policy: { isRefused: text !== '', rules: rulesIn(text), text },
  };
}

/** What the webhook says about fields that the API server dropped: they are no escape, and CEL does not see them. */
const EXPLANATION = differences.keepsResourceClaims
  ? /^source \d+ of volume .* is empty: /
  : /^(source \d+ of volume .* is empty: |the pod was sent with claims of devices, and they are missing now: )/;

const POLICY_WARNING = "Validation failed for ValidatingAdmissionPolicy 'cloister-profile-";

/** Each finding begins with the id of its rule. */
function rulesIn(text: string): readonly string[] {
  return sorted([...text.matchAll(/(?:': |\. )([a-z-]+): /g)].flatMap(([, id]) => (id !== undefined && ruleById.has(id) ? [id] : [])));
}

const sorted = (names: readonly string[]): readonly string[] => [...new Set(names)].toSorted();

/** Whether the text of a policy names all its findings. */
export const isWhole = ({ text }: Opinion): boolean => !text.includes('lists the rest');

/** Requests at a time. */
const CALLERS = 4;

/** Does the work for each item, for a few at a time. */
export async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items].reverse();
  const worker = async (): Promise<void> => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: CALLERS }, worker));
}
