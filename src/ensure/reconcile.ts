import { X509Certificate } from 'node:crypto';
import type { Logger } from 'pino';
import { ClusterError, type DeletingCluster, isForbidden } from '../cluster/client.ts';
import { type LiveObject, type Reference, titleOf } from '../cluster/object.ts';
import type { ServingPod } from '../cluster/serving.ts';
import { BACKSTOP_LABELS } from '../manifests/labels.ts';
import { createAuthority, issueCertificate } from '../tls/certificate.ts';
import type { Issued } from '../tls/pem.ts';
import { findNewlyEnforced, RUNNING_PODS_STAY } from './enforcement.ts';
import { findDropped, findNewProfiles } from './kept-fields.ts';
import { bundleOf, encode, namesOf, secretsOf } from './objects.ts';
import { makePlan } from './plan.ts';
import type { DesiredState, ObservedState, Plan, Step } from './types.ts';

export interface Dependencies {
  readonly cluster: DeletingCluster;
  /** Reads the state of the serving pods. */
  readonly observePods: () => Promise<readonly ServingPod[]>;
  readonly now: () => Date;
  readonly pause: (ms: number) => Promise<void>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export interface Timeouts {
  /** How long every API server may take to load a new caBundle. */
  readonly settleMs: number;
  /** How long to wait for the serving pods. */
  readonly waitMs: number;
}

export interface Outcome {
  /** Number of writes. */
  readonly writes: number;
  /** The plan after the last write: steps that still wait, objects that this identity may not delete, and hands-off objects. */
  readonly plan: Plan;
}

const AUTHORITY_DAYS = 365;
const SERVING_DAYS = 30;

const POLL_MS = 1_000;
/** Conflicts with other writers in a row. */
const MAX_CONFLICTS = 10;
/** Attempts for one request. */
const MAX_ATTEMPTS = 3;
/** Besides one for each policy, far more than there are other objects: another writer reverts the changes. */
const MAX_OTHER_WRITES = 100;

/**
 * Observes the cluster, applies the first step of the plan, and repeats, until no step is left or none can be applied. Each write names the
 * version of the object that it was made from: a conflict with another writer changes nothing, and the next observation includes their change.
 * @throws ClusterError
 */
export async function reconcile(
  desired: DesiredState,
  { cluster, observePods, now, pause, logger }: Dependencies,
  { settleMs, waitMs }: Timeouts,
): Promise<Outcome> {
  let writes = 0;
  let conflicts = 0;
  let waitedMs = 0;
  let announced = '';
  const asked = new Set<string>();
  const undeletable = new Set<string>();
  for (;;) {
    const plan = await withRetry(async () => makePlan(await observe(desired, cluster, observePods), desired, now()));
    const step = plan.steps.find(({ object }) => !undeletable.has(titleOf(object)));
    if (step !== undefined) {
      await apply(step);
      continue;
    }
    if (plan.waiting.length === 0 || waitedMs >= waitMs) return { writes, plan };
    announce(plan);
    await pause(POLL_MS);
    waitedMs += POLL_MS;
  }

  async function apply(step: Step): Promise<void> {
    if (step.do === 'update') await askAbout(findNewProfiles(step.live, step.fields));
    if (step.do === 'issue-serving' && step.isNewToApiServers) await pause(settleMs);
    const result = await withRetry(() => applyStep(step, { cluster, desired, now: now() }));
    if (result === 'may not') {
      undeletable.add(titleOf(step.object));
      return;
    }
    const { isWritten, fields } = result;
    if (!isWritten) {
      conflicts += 1;
      if (conflicts < MAX_CONFLICTS) return;
      throw contested(
        `${titleOf(step.object)} was changed by another client before each of ${MAX_CONFLICTS} writes: is another \`cloister ensure\` running?`,
      );
    }
    conflicts = 0;
    writes += 1;
    logger.info({ object: titleOf(step.object), why: step.why, ...fields }, DONE[step.do] ?? 'updated');
    const entries = findNewlyEnforced(step);
    if (entries.length > 0) logger.warn({ entries }, RUNNING_PODS_STAY);
    if (writes < MAX_OTHER_WRITES + desired.policies.length) return;
    throw contested(
      `${titleOf(step.object)} is changed back after each write: is \`cloister ensure\` also running with another configuration?`,
    );
  }

  /** Asks once for each profile, before its first entries are written. */
  async function askAbout(profiles: readonly string[]): Promise<void> {
    const samples = desired.samples.filter(({ profile }) => profiles.includes(profile) && !asked.has(profile));
    for (const sample of samples) {
      asked.add(sample.profile);
      for (const { message, fields } of await findDropped(sample, desired.service, cluster)) logger.warn(fields, message);
    }
  }

  async function withRetry<T>(request: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await request();
      } catch (error) {
        if (!(error instanceof ClusterError) || !error.isRetryable || attempt === MAX_ATTEMPTS) throw error;
        logger.warn({ problem: error.message }, 'retrying');
        await pause(POLL_MS);
      }
    }
  }

  function announce({ waiting }: Plan): void {
    const blocked = waiting.map(({ step, until }) => ({ object: titleOf(step.object), until }));
    if (JSON.stringify(blocked) === announced) return;
    announced = JSON.stringify(blocked);
    for (const each of blocked) logger.info(each, 'waiting');
  }
}

const DONE: Readonly<Partial<Record<Step['do'], string>>> = { create: 'created', delete: 'deleted' };

const contested = (message: string): ClusterError => new ClusterError(message, { isRetryable: false });

async function observe(desired: DesiredState, cluster: DeletingCluster, observePods: Dependencies['observePods']): Promise<ObservedState> {
  const { authority, serving } = secretsOf(desired);
  const secrets = desired.certificates === 'ensure' ? [authority, serving] : [];
  const references: readonly Reference[] = [...desired.policies, ...secrets, ...desired.configurations];
  const [found, listed, pods] = await Promise.all([
    Promise.all(references.map(cluster.read)),
    cluster.list(BINDING.apiVersion, BINDING.kind, { selector: BACKSTOP_SELECTOR }),
    observePods(),
  ]);
  const objects = new Map(found.flatMap((live) => (live === undefined ? [] : [[titleOf(live), live] as const])));
  // The API server leaves both fields out of the items of a list.
  return { objects, backstopBindings: listed.map((each) => ({ ...each, ...BINDING })), pods };
}

const BINDING = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingAdmissionPolicyBinding' };
const BACKSTOP_SELECTOR = Object.entries(BACKSTOP_LABELS)
  .map(([key, value]) => `${key}=${value}`)
  .join();

interface StepContext {
  readonly cluster: DeletingCluster;
  readonly desired: DesiredState;
  readonly now: Date;
}

interface StepResult {
  readonly isWritten: boolean;
  /** Fields for the log that are known only after the step. */
  readonly fields?: { readonly certificate: string; readonly expires: string };
}

/** @returns may not: RBAC does not allow a deletion, because the role names the configured profiles */
async function applyStep(step: Step, { cluster, desired, now }: StepContext): Promise<StepResult | 'may not'> {
  switch (step.do) {
    case 'create':
      return { isWritten: await cluster.create(step.object) };
    case 'update':
      return { isWritten: await cluster.update({ ...step.live, ...step.fields }) };
    case 'delete':
      return cluster.delete(step.live).then(
        (isWritten) => ({ isWritten }),
        (error) => {
          if (isForbidden(error)) return 'may not';
          throw error;
        },
      );
    case 'issue-authority': {
      const { namespace, name } = desired.service;
      const issued = await createAuthority(`${namespace}/${name} authority`, { now, days: AUTHORITY_DAYS });
      return store(step.live, issued, { 'ca.crt': encode(bundleOf(new X509Certificate(issued.certificate), step.previousAuthorities)) });
    }
    case 'issue-serving':
      return store(step.live, await issueCertificate(step.authority, namesOf(desired.service), { now, days: SERVING_DAYS }));
    default:
      return step satisfies never;
  }

  async function store(live: LiveObject, { certificate, key }: Issued, more: Readonly<Record<string, string>> = {}): Promise<StepResult> {
    const data = { ...(live.data as object), 'tls.crt': encode(certificate), 'tls.key': encode(key), ...more };
    const { serialNumber, validToDate } = new X509Certificate(certificate);
    return {
      isWritten: await cluster.update({ ...live, data }),
      fields: { certificate: serialNumber, expires: validToDate.toISOString() },
    };
  }
}
