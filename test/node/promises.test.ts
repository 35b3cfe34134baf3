import { beforeAll, describe, test } from 'vitest';
import { expectKept, keepTimeoutMs } from './fixture/expect-kept.ts';
import { furtherRuntimes } from './fixture/further-runtimes.ts';
import { type Kind, keep } from './fixture/keep.ts';
import { offersWith } from './fixture/offers.ts';
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
    const timeout = keepTimeoutMs(offer);

    test.each(KINDS)('the promises are kept in the pod %s', { timeout }, async (_, kind) => {
      expectKept(await keep(ground, ground.apiServer, offer, kind));
    });
  });
});
