import fc from 'fast-check';
import { expect, test } from 'vitest';
import { apply } from '../../src/apply-patch.ts';
import { rules } from '../../src/core/rules/index.ts';
import type { Rule } from '../../src/core/rules/rule.ts';
import { makeRespond } from '../../src/webhook/review/respond.ts';
import { bytesOf, configOf, type Doc, hostilePod, NOW, paint, reviewOf, setting, stroke } from '../support/hostile-pods.ts';
import { map, wrongsOf } from '../support/oracle.ts';
import '../support/properties.ts';
import { applyPatch } from '../support/rfc6902.ts';

/** Findings of these rules are no escape, so the oracle does not check them: the API server rejects such a pod, or the rule concerns a grant. */
const NO_ESCAPE: ReadonlySet<string> = new Set([
  'dns-policy',
  'overhead',
  'image-storage',
  'mapped-volumes',
  'pod-size',
  'rootful-engine',
  'workspace-container',
]);

test.each(rules.filter(({ id }) => !NO_ESCAPE.has(id)))(
  'T13: without the rule $id, pods are admitted in which the oracle finds a violation',
  (rule) => {
    const { checkPod, checkContainer } = rule;
    const hollow = rule as { -readonly [Key in keyof Rule]: Rule[Key] };
    if (checkPod !== undefined) hollow.checkPod = () => undefined;
    if (checkContainer !== undefined) hollow.checkContainer = () => undefined;
    try {
      const hint = `find pods that break ${rule.id} wrong in test/support/oracle.ts and generate some in test/support/hostile-pods.ts, or name it in NO_ESCAPE`;
      expect(admittedWrongly(), hint).toBe(true);
    } finally {
      if (checkPod !== undefined) hollow.checkPod = checkPod;
      if (checkContainer !== undefined) hollow.checkContainer = checkContainer;
    }
  },
);

/** The same cases every time, so that the result does not depend on chance. */
function admittedWrongly(): boolean {
  const isFine = fc.property(hostilePod, setting, fc.array(stroke, { maxLength: 3 }), (pod, given, changes) => {
    const respond = makeRespond(configOf(given), { apply, now: () => NOW });
    const ask = (path: string, object: Doc): Doc => map(map(JSON.parse(respond(path, bytesOf(reviewOf(object))).body)).response);
    const { patch } = ask('/mutate/own', pod);
    const patched = patch === undefined ? pod : applyPatch(pod, JSON.parse(Buffer.from(String(patch), 'base64').toString()) as unknown[]);
    const final = changes.reduce(paint, patched as Doc);
    return !map(ask('/validate/enforce/own', final)).allowed || wrongsOf(final, given).length === 0;
  });
  return fc.check(isFine, { seed: 1, numRuns: 20_000, endOnFailure: true }).failed;
}
