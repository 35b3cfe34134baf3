import { apply } from '../../src/apply-patch.ts';
import { GRANT_LABEL } from '../../src/core/labels.ts';
import { makeRespond, type Respond } from '../../src/webhook/review/respond.ts';
import { operationsOf } from '../support/answer-rules.ts';
import { bytesOf, configOf, type Doc, NOW, reviewOf, type Setting } from '../support/hostile-pods.ts';
import { list, map } from '../support/oracle.ts';
import { applyPatch } from '../support/rfc6902.ts';
import { bytesOfCase, type Case } from './cases.ts';
import { ENFORCE, faultsOf, faultsOfAskingAgain, faultsOfLeavingOut, MUTATE } from './faults.ts';

/** The judge under a setting; a test may put another in its place. */
export type Judge = (setting: Setting) => Respond;
export const judge: Judge = (setting) => makeRespond(configOf(setting), { apply, now: () => NOW });

/** Everything that is wrong with the answers to a case. */
export function faultsOfCase(given: Case, make: Judge = judge): string[] {
  const { setting, path, dice } = given;
  const respond = make(setting);
  const bytes = bytesOfCase(given, (pod) => repairedBy(respond, pod));
  const question = { respond, setting, path, bytes };
  const faults = faultsOf(question);
  if (dice % 4 === 1) faults.push(...faultsOfAskingAgain(question));
  if (path === MUTATE && dice % 4 === 0) faults.push(...faultsOfLeavingOut(question, dice >> 2));
  if (path === ENFORCE && dice % 8 === 0) faults.push(...faultsOfLoosening(make, given, bytes));
  return faults;
}

function repairedBy(respond: Respond, pod: Doc): Doc {
  try {
    const { patch } = map(map(JSON.parse(respond(MUTATE, bytesOf(reviewOf(pod))).body)).response);
    return patch === undefined ? pod : map(applyPatch(pod, operationsOf(patch)));
  } catch {
    return pod; // faultsOf says it, when this pod is asked about
  }
}

/** R3: a larger grant, or an additional exemption, refuses nothing that was admitted before. */
function faultsOfLoosening(make: Judge, { setting }: Case, bytes: Uint8Array): string[] {
  let crash: string | undefined;
  const ask = (given: Setting, sent: Uint8Array): Doc => {
    try {
      return map(map(JSON.parse(make(given)(ENFORCE, sent).body)).response);
    } catch (error) {
      crash = `R1: a crash: ${(error as Error).stack}`;
      return {};
    }
  };
  if (ask(setting, bytes).allowed !== true) return [];
  const text = Buffer.from(bytes).toString();
  const pod = map(map(map(JSON.parse(text)).request).object);
  // A repaired pod says which grant it is under, and another one is refused. A pod that asks for a grant keeps it.
  const namesGrant = GRANT_LABEL in map(map(pod.metadata).labels);
  const underGrant = ({ grant }: Setting): Uint8Array =>
    grant === setting.grant || namesGrant ? bytes : Buffer.from(text.replaceAll(`"own/${setting.grant}"`, `"own/${grant}"`));
  // What a grant promises to hundreds of containers is more than one patch gives.
  const hasMany = list(map(pod.spec).containers).length > 200;
  // Under Sysbox a pod says which grant it is under, and anything else is refused.
  const larger: Setting[] = setting.backend === 'sysbox' ? [] : [{ ...setting, grant: 'containers' }];
  const exempt = { capabilities: ['NET_ADMIN'], 'volume-types': ['nfs'], seccomp: ['Unconfined'], ...setting.exempt };
  return [...larger, { ...setting, exempt }].flatMap((looser) => {
    const { allowed, status } = ask(looser, underGrant(looser));
    if (crash !== undefined) return [crash];
    if (allowed === true || (hasMany && String(map(status).message).includes('- pod-size: '))) return [];
    return [`R3: let through, and not under ${JSON.stringify(looser)}: ${map(status).message}`];
  });
}

const SETTINGS: readonly Setting[] = [
  { backend: 'userns', grant: 'containers' },
  { backend: 'sysbox', grant: 'none', identity: 'crio-annotation', mayChoose: ['other'] },
];
const PATHS = [MUTATE, ENFORCE, '/validate/audit/own', '/unknown/enforce'];
const judged = SETTINGS.map((setting) => ({ setting, respond: judge(setting) }));

/** Everything that is wrong with the answers to a body, at the entries that read it in different ways. */
export function faultsOfBytes(bytes: Uint8Array): string[] {
  const { setting, respond } = judged[bytes.length % judged.length] as (typeof judged)[number];
  return PATHS.flatMap((path) => faultsOf({ respond, setting, path, bytes }));
}
