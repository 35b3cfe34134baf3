import { beforeAll, describe, expect, test } from 'vitest';
import { furtherRuntimes } from './fixture/further-runtimes.ts';
import { type Kind, keep } from './fixture/keep.ts';
import { hasOwnKernel, knownFailure, offersWith, stepsOf, timeoutsOf } from './fixture/offers.ts';
import { wayOut } from './fixture/report.ts';
import { onNode, useNode } from './fixture/use.ts';

/** The four promises, through Cloister, kept by a kubelet and its runtimes for pods that a tenant creates. */

const { run } = offersWith(await furtherRuntimes());
const KINDS: readonly (readonly [string, Kind])[] = [
  ['a pod that asks for nothing but the label', 'plain'],
  ['a docker-in-docker pod that asks for everything', 'docker-in-docker'],
];

onNode('the promises', () => {
  let ground: Awaited<ReturnType<typeof useNode>>;
  beforeAll(async () => {
    ground = await useNode();
  });

  describe.each(run)('$id', (offer) => {
    // The sum of the limits of all parts, and some time for parts without a limit.
    const { podSeconds, stepSeconds } = timeoutsOf(offer);
    const timeout = (podSeconds + stepSeconds * (stepsOf(offer).length + 2)) * 1000;

    test.each(KINDS)('the promises are kept in the pod %s', { timeout }, async (_, kind) => {
      const { outcomes, root, attempts } = await keep(ground, ground.apiServer, offer, kind);

      // Promises 1 to 3: every step succeeds, except those that are known to fail, with the known error.
      const failed = outcomes.filter(({ ok }) => !ok).map(({ step, said }) => [step.name, said]);
      const known = outcomes.flatMap(({ step }) => {
        const says = knownFailure(offer, step.name);
        return says === undefined ? [] : [[step.name, expect.stringMatching(says)]];
      });
      expect(Object.fromEntries(failed)).toEqual(Object.fromEntries(known));

      // Promise 4.
      expect(root.hasNodesKernel).toBe(!hasOwnKernel(offer.backend));
      expect(root.onNode).not.toContain(0);
      if (root.hasNodesKernel) {
        const [inside, outside, count] = root.map;
        expect([inside, count, [outside]]).toEqual([0, 65536, root.onNode]);
        expect(outside).toBeGreaterThanOrEqual(65536);
      }
      expect(attempts.length).toBeGreaterThan(20);
      const accepted = Object.keys(offer.attempts ?? {});
      expect(attempts.filter((attempt) => wayOut(attempt, root) && !accepted.includes(attempt.name))).toEqual([]);
      const through = attempts.filter((attempt) => attempt.through).map(({ name }) => name);
      expect(through, 'an attempt that is known to succeed no longer does').toEqual(expect.arrayContaining(accepted));
    });
  });
});
