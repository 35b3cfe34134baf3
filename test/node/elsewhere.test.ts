import { beforeAll, expect, test } from 'vitest';
import { WORKSPACE_IMAGE } from '../../tools/programs/workspace-image.ts';
import { BASELINE } from '../support/baseline.ts';
import { furtherRuntimes } from './fixture/further-runtimes.ts';
import { waitInVain } from './fixture/keep.ts';
import { type Backend, classOf, type Grant, offersWith } from './fixture/offers.ts';
import { onNode, useNode } from './fixture/use.ts';

/** Profiles whose runtime the node lacks: no pod of theirs runs anywhere else instead. */

interface Stored {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly spec: {
    readonly hostUsers?: boolean;
    readonly runtimeClassName: string;
    readonly overhead?: object;
    readonly securityContext: object;
    readonly containers: readonly {
      readonly name: string;
      readonly image: string;
      readonly env?: readonly object[];
      readonly securityContext: object;
      readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
    }[];
    readonly volumes: readonly { readonly name: string; readonly emptyDir?: object }[];
  };
  readonly status: { readonly phase: string };
}

/** What a workspace container is given, and where it keeps images. */
interface Given {
  readonly env?: readonly object[];
  readonly capabilities?: { readonly drop: readonly string[]; readonly add?: readonly string[] };
  readonly storage: Readonly<Record<string, object>>;
}

/** Half of what a guest has without a memory limit. */
const memory = { medium: 'Memory', sizeLimit: '1Gi' };

/** Written out here, so that it is not Cloister that says what Cloister should do. */
const SYSBOX: Readonly<Record<Grant, Given>> = {
  sudo: { env: [{ name: 'SYSBOX_SYSCONT_MODE', value: 'FALSE' }], capabilities: { drop: ['ALL'], add: BASELINE }, storage: {} },
  containers: {
    env: [{ name: 'SYSBOX_SYSCONT_MODE', value: 'TRUE' }],
    capabilities: { drop: ['ALL'] },
    storage: { '/var/lib/docker': {}, '/var/lib/containers': {} },
  },
};
const KATA: Readonly<Record<Grant, Given>> = {
  sudo: { storage: {} },
  containers: {
    capabilities: { drop: ['ALL'], add: [...BASELINE, 'SYS_ADMIN', 'NET_ADMIN', 'SYS_RESOURCE'] },
    storage: { '/var/lib/containers': memory, '/var/tmp': memory, '/tmp': memory },
  },
};
const givenTo = (backend: Backend, grant: Grant): Given => (backend === 'sysbox' ? SYSBOX : KATA)[grant];

const { stored: offers, runtimeClasses } = offersWith(await furtherRuntimes());

onNode('where the runtime is missing', () => {
  let apiServer: Awaited<ReturnType<typeof useNode>>['apiServer'];
  beforeAll(async () => {
    ({ apiServer } = await useNode());
  });

  test.each(offers)('a pod of $id is stored completely, and the kubelet names the missing handler', async (offer) => {
    const { id, backend, grant } = offer;
    const { said, stored } = await waitInVain<Stored>(apiServer, offer);
    const runtimeClassName = classOf(backend);
    const runtimeClass = runtimeClasses[runtimeClassName];
    expect(said).toContain(`"${runtimeClass?.handler}"`);
    expect(stored.status.phase).toBe('Pending');
    expect(stored.metadata.annotations).toEqual({ 'cloister.dev/profile-applied': `${id}/${grant}` });

    const { env, capabilities, storage } = givenTo(backend, grant);
    const { spec } = stored;
    expect(spec.hostUsers).toBe(backend === 'sysbox' ? false : undefined);
    expect(spec.runtimeClassName).toBe(runtimeClassName);
    expect(spec.overhead).toEqual(runtimeClass?.overhead?.podFixed);
    expect(spec.securityContext).toEqual({ seccompProfile: { type: 'RuntimeDefault' } });
    expect(spec.containers).toEqual([expect.objectContaining({ name: 'workspace', image: offer.image ?? WORKSPACE_IMAGE })]);
    const [workspace] = spec.containers;
    expect(workspace?.env).toEqual(env);
    expect(workspace?.securityContext).toEqual({ allowPrivilegeEscalation: true, ...(capabilities === undefined ? {} : { capabilities }) });
    expect(storageOf(spec)).toEqual(storage);
  });
});

/** The emptyDirs, by the path that they are mounted at. */
function storageOf({ containers, volumes }: Stored['spec']): Readonly<Record<string, object>> {
  const mounts = containers.flatMap(({ volumeMounts }) => volumeMounts);
  const found = mounts.flatMap(({ name, mountPath }) => {
    const { emptyDir } = volumes.find((volume) => volume.name === name) ?? {};
    return emptyDir === undefined ? [] : [[mountPath, emptyDir] as const];
  });
  return Object.fromEntries(found);
}
