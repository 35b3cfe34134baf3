import { beforeAll, expect, test } from 'vitest';
import { furtherRuntimes } from './fixture/further-runtimes.ts';
import { waitInVain } from './fixture/keep.ts';
import { classOf, offersWith } from './fixture/offers.ts';
import { onNode, useNode } from './fixture/use.ts';

/** Profiles whose runtime the node lacks: no pod of theirs runs anywhere else instead. */

interface Stored {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly spec: { readonly hostUsers?: boolean; readonly runtimeClassName: string };
  readonly status: { readonly phase: string };
}

const { stored: offers, runtimeClasses } = offersWith(await furtherRuntimes());

onNode('where the runtime is missing', () => {
  let apiServer: Awaited<ReturnType<typeof useNode>>['apiServer'];
  beforeAll(async () => {
    ({ apiServer } = await useNode());
  });

  test.each(offers)('a pod of $id is stored, and the kubelet names the handler that it misses', async (offer) => {
    const { said, stored } = await waitInVain<Stored>(apiServer, offer);
    const runtimeClassName = classOf(offer.backend);
    expect(said).toContain(`"${runtimeClasses[runtimeClassName]?.handler}"`);
    expect(stored.spec.runtimeClassName).toBe(runtimeClassName);
    expect(stored.spec.hostUsers).toBe(offer.backend === 'sysbox' ? false : undefined);
    expect(stored.metadata.annotations['cloister.dev/profile-applied']).toBe(`${offer.id}/${offer.grant}`);
    expect(stored.status.phase).toBe('Pending');
  });
});
