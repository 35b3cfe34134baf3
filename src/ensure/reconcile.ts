import { X509Certificate } from 'node:crypto';
import type { Logger } from 'pino';
import { type Cluster, ClusterError } from '../cluster/client.ts';
import { type LiveObject, type Reference, titleOf } from '../cluster/object.ts';
import type { ServingPod } from '../cluster/serving.ts';
import { createAuthority, issueCertificate } from '../tls/certificate.ts';
import type { Issued } from '../tls/pem.ts';
import { bundleOf, encoded, namesOf, type Plan, planOf, type Seen, type Step, secretsOf, type Wanted } from './plan.ts';

export interface World {
  readonly cluster: Cluster;
  /** What the serving pods say now. */
  readonly askServers: () => Promise<readonly ServingPod[]>;
  readonly now: () => Date;
  readonly pause: (ms: number) => Promise<void>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export interface Patience {
  /** How long every API server may take to hear of a new caBundle. */
  readonly settleMs: number;
  /** How long to wait for the serving pods. */
  readonly waitMs: number;
}

export interface Outcome {
  /** How many times something was written. */
  readonly writes: number;
  /** What is still to be done, and what is left alone. */
  readonly plan: Plan;
}

const AUTHORITY_DAYS = 365;
const SERVING_DAYS = 30;

const POLL_MS = 1_000;
/** Writes lost to others one after the other. */
const MAX_LOST = 10;
/** Times that the API server was asked for one thing. */
const MAX_ATTEMPTS = 3;
/** Far more than there are objects: somebody else undoes what is done. */
const MAX_WRITES = 100;

/**
 * Looks, takes the first step of the plan, and looks again, until there is nothing to do or nothing that can be done. Each write says which
 * state of the object it is made from; where somebody else was faster, it counts for nothing, and the next look shows what they did.
 * @throws ClusterError
 */
export async function bring(
  wanted: Wanted,
  { cluster, askServers, now, pause, logger }: World,
  { settleMs, waitMs }: Patience,
): Promise<Outcome> {
  let writes = 0;
  let lost = 0;
  let waitedMs = 0;
  let announced = '';
  for (;;) {
    const plan = await persistently(async () => planOf(await look(wanted, cluster, askServers), wanted, now()));
    const [step] = plan.steps;
    if (step !== undefined) {
      await take(step);
      continue;
    }
    if (plan.waiting.length === 0 || waitedMs >= waitMs) return { writes, plan };
    announce(plan);
    await pause(POLL_MS);
    waitedMs += POLL_MS;
  }

  async function take(step: Step): Promise<void> {
    if (step.do === 'issue-serving' && step.isNewToApiServers) await pause(settleMs);
    const { isWritten, facts } = await persistently(() => carryOut(step, { cluster, wanted, now: now() }));
    if (!isWritten) {
      lost += 1;
      if (lost < MAX_LOST) return;
      throw contested(`${titleOf(step.object)} was changed by others time and again: is another \`cloister ensure\` at work?`);
    }
    lost = 0;
    writes += 1;
    logger.info({ object: titleOf(step.object), why: step.why, ...facts }, step.do === 'create' ? 'created' : 'updated');
    if (writes < MAX_WRITES) return;
    throw contested(
      `${titleOf(step.object)} is changed back time and again: is \`cloister ensure\` at work with another configuration, too?`,
    );
  }

  async function persistently<T>(ask: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof ClusterError) || !error.isRetryable || attempt === MAX_ATTEMPTS) throw error;
        logger.warn({ problem: error.message }, 'trying again');
        await pause(POLL_MS);
      }
    }
  }

  function announce({ waiting }: Plan): void {
    const told = waiting.map(({ step, until }) => ({ object: titleOf(step.object), until }));
    if (JSON.stringify(told) === announced) return;
    announced = JSON.stringify(told);
    for (const each of told) logger.info(each, 'waiting');
  }
}

const contested = (message: string): ClusterError => new ClusterError(message, { isRetryable: false });

async function look(wanted: Wanted, cluster: Cluster, askServers: World['askServers']): Promise<Seen> {
  const { authority, serving } = secretsOf(wanted);
  const secrets = wanted.certificates === 'ensure' ? [authority, serving] : [];
  const references: readonly Reference[] = [...wanted.policies, ...secrets, ...wanted.configurations];
  const [found, servers] = await Promise.all([Promise.all(references.map(cluster.read)), askServers()]);
  return { objects: new Map(found.flatMap((live) => (live === undefined ? [] : [[titleOf(live), live] as const]))), servers };
}

interface Means {
  readonly cluster: Cluster;
  readonly wanted: Wanted;
  readonly now: Date;
}

interface Done {
  readonly isWritten: boolean;
  /** What the step's reasons could not know. */
  readonly facts?: { readonly certificate: string; readonly expires: string };
}

async function carryOut(step: Step, { cluster, wanted, now }: Means): Promise<Done> {
  switch (step.do) {
    case 'create':
      return { isWritten: await cluster.create(step.object) };
    case 'update':
      return { isWritten: await cluster.update({ ...step.live, ...step.fields }) };
    case 'issue-authority': {
      const { namespace, name } = wanted.service;
      const issued = await createAuthority(`${namespace}/${name} authority`, { now, days: AUTHORITY_DAYS });
      return store(step.live, issued, { 'ca.crt': encoded(bundleOf(new X509Certificate(issued.certificate), step.beside)) });
    }
    case 'issue-serving':
      return store(step.live, await issueCertificate(step.authority, namesOf(wanted.service), { now, days: SERVING_DAYS }));
    default:
      return step satisfies never;
  }

  async function store(live: LiveObject, { certificate, key }: Issued, more: Readonly<Record<string, string>> = {}): Promise<Done> {
    const data = { ...(live.data as object), 'tls.crt': encoded(certificate), 'tls.key': encoded(key), ...more };
    const { serialNumber, validToDate } = new X509Certificate(certificate);
    return {
      isWritten: await cluster.update({ ...live, data }),
      facts: { certificate: serialNumber, expires: validToDate.toISOString() },
    };
  }
}
