import { beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import { BASELINE } from '../support/baseline.ts';
import type { Client } from '../support/client.ts';
import { goldenFiles } from '../support/golden.ts';
import { authoredAnnotations, differences } from '../support/kubernetes.ts';
import { dockerInDocker, hostNamespaces, limited, type PodManifest, plainPod, sidecars } from '../support/pod-manifests.ts';

/**
 * What the API server stores, for each profile and grant. The expectations are written here by hand, from what the product promises, and
 * share no code with the rules.
 */

interface Governance {
  /** The profile's id. */
  readonly id: string;
  readonly backend: Backend;
  readonly grant: 'none' | 'sudo' | 'containers';
  readonly nesting?: 'sysadmin';
}

type Backend = 'userns' | 'sysbox' | 'kata-qemu' | 'kata-clh' | 'kata-fc' | 'kata-acrn' | 'gvisor';

interface Wall {
  readonly hostUsers?: false;
  readonly runtimeClassName?: string;
  readonly overhead?: Readonly<Record<string, string>>;
  readonly nodeSelector?: Readonly<Record<string, string>>;
}

const KATA_NODES = { 'katacontainers.io/kata-runtime': 'true' };
const WALLS: Readonly<Record<Backend, Wall>> = {
  userns: { hostUsers: false },
  sysbox: { hostUsers: false, runtimeClassName: 'sysbox-runc', nodeSelector: { 'sysbox-runtime': 'running' } },
  'kata-qemu': { runtimeClassName: 'kata-qemu', overhead: { cpu: '250m', memory: '320Mi' }, nodeSelector: KATA_NODES },
  'kata-clh': { runtimeClassName: 'kata-clh', overhead: { cpu: '250m', memory: '130Mi' }, nodeSelector: KATA_NODES },
  'kata-fc': { runtimeClassName: 'kata-fc', overhead: { cpu: '250m', memory: '130Mi' }, nodeSelector: KATA_NODES },
  'kata-acrn': { runtimeClassName: 'kata-acrn', overhead: { cpu: '250m', memory: '130Mi' }, nodeSelector: KATA_NODES },
  gvisor: { runtimeClassName: 'gvisor' },
};

const backends = Object.keys(WALLS) as readonly Backend[];
const governances: readonly Governance[] = [
  ...backends.flatMap((backend) =>
    (['none', 'sudo', 'containers'] as const).map((grant) => ({ id: `${backend}-${grant}`, backend, grant })),
  ),
  { id: 'userns-sysadmin', backend: 'userns', grant: 'containers', nesting: 'sysadmin' },
];

/** What engines in a user namespace need: the above without AUDIT_WRITE and MKNOD. */
const ENGINES = 'CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(' ');

/** A container as far as isolation goes. */
interface View {
  readonly privileged: boolean;
  readonly escalation: boolean | undefined;
  readonly drop: readonly string[];
  readonly add: readonly string[];
  readonly seccomp: string;
  readonly appArmor: string | undefined;
  readonly procMount: string;
  /** Mount path of a volume of ours -> its medium and its size limit. */
  readonly storage: Readonly<Record<string, string>>;
  readonly sysboxMode: string | undefined;
  readonly hostPorts: number;
}

/** What a workspace container has: `lists` is written out, `may` is kept where it was asked for. */
interface Given extends Omit<View, 'add' | 'privileged' | 'appArmor' | 'hostPorts'> {
  readonly lists: readonly string[];
  readonly may: readonly string[];
}

function givenBy({ backend, grant, nesting }: Governance): Given {
  const isKata = backend.startsWith('kata');
  const plain: Given = {
    escalation: grant !== 'none',
    drop: [],
    lists: [],
    may: BASELINE,
    seccomp: 'RuntimeDefault',
    procMount: 'Default',
    storage: {},
    sysboxMode: backend === 'sysbox' ? 'FALSE' : undefined,
  };
  const all = { drop: ['ALL'] };
  if (grant === 'none') {
    return isKata || backend === 'sysbox' ? { ...plain, ...all, may: [] } : plain;
  }
  if (grant === 'sudo') return backend === 'sysbox' ? { ...plain, ...all, lists: BASELINE } : plain;
  switch (backend) {
    case 'userns': {
      const userns = { ...plain, ...all, procMount: 'Unmasked', storage: { '/var/lib/containers': '' } };
      if (nesting === 'sysadmin') return { ...userns, lists: [...ENGINES, 'SYS_ADMIN'], may: [...BASELINE, 'SYS_ADMIN'] };
      return { ...userns, lists: ENGINES, seccomp: 'Localhost cloister/workspace.json' };
    }
    case 'sysbox':
      return { ...plain, ...all, storage: { '/var/lib/docker': '', '/var/lib/containers': '' }, sysboxMode: 'TRUE' };
    case 'gvisor':
      return { ...plain, ...all, lists: BASELINE, may: [...BASELINE, 'SYS_PTRACE'], storage: { '/var/lib/containers': '' } };
    default: {
      const lists = [...BASELINE, 'SYS_ADMIN', 'NET_ADMIN', 'SYS_RESOURCE'];
      // Half of what a guest has without a memory limit.
      const storage = { '/var/lib/containers': 'Memory 1Gi', '/var/tmp': 'Memory 1Gi', '/tmp': 'Memory 1Gi' };
      return { ...plain, ...all, lists, may: [...lists, 'SYS_PTRACE', 'NET_RAW'], storage };
    }
  }
}

function workspace(governance: Governance, asked: readonly string[] = []): View {
  const { lists, may, ...rest } = givenBy(governance);
  const add = [...new Set([...lists, ...asked.filter((each) => may.includes(each))])].sort();
  return { ...rest, add, privileged: false, appArmor: undefined, hostPorts: 0 };
}

/** A workspace whose volumes of memory are of another size. */
function workspaceWith(size: string, governance: Governance): View {
  const view = workspace(governance);
  const storage = Object.entries(view.storage).map(([path, volume]) => [path, volume.replace('1Gi', size)] as const);
  return { ...view, storage: Object.fromEntries(storage) };
}

/** Outside the grant: hardened, and otherwise as it was written. */
function outside({ backend }: Governance, asked: Partial<View> = {}): View {
  return {
    privileged: false,
    escalation: undefined,
    drop: [],
    add: [],
    seccomp: 'RuntimeDefault',
    appArmor: undefined,
    procMount: 'Default',
    storage: {},
    sysboxMode: backend === 'sysbox' ? 'FALSE' : undefined,
    hostPorts: 0,
    ...asked,
  };
}

interface Case {
  readonly pod: PodManifest;
  readonly containers: (governance: Governance) => Readonly<Record<string, View>>;
  /** What stays of a foreign runtime class. */
  readonly nodeSelector?: Readonly<Record<string, string>>;
}

const cases: Readonly<Record<string, Case>> = {
  plain: {
    pod: plainPod(),
    containers: (governance) => ({ workspace: workspace(governance) }),
  },
  'docker-in-docker': {
    pod: dockerInDocker(),
    containers(governance) {
      const view = workspace(governance, ['SYS_ADMIN']);
      // The pod brings a volume of its own there.
      const { '/var/lib/docker': _, ...storage } = view.storage;
      return { workspace: { ...view, storage } };
    },
  },
  limited: {
    pod: limited(),
    containers: (governance) => ({ workspace: workspaceWith('1430Mi', governance), tools: workspaceWith('4Gi', governance) }),
  },
  'explicit-host-users': {
    pod: plainPod('explicit-host-users', { hostUsers: true }),
    containers: (governance) => ({ workspace: workspace(governance) }),
  },
  'foreign-class': {
    pod: plainPod('foreign-class', { runtimeClassName: 'foreign', overhead: { cpu: '10m', memory: '10Mi' } }),
    containers: (governance) => ({ workspace: workspace(governance) }),
    nodeSelector: { 'example.com/foreign': 'yes' },
  },
  'host-namespaces': {
    pod: hostNamespaces(),
    containers: (governance) => ({ workspace: workspace(governance) }),
  },
  sidecars: {
    pod: sidecars(),
    containers(governance) {
      const lockedDown = { escalation: false, drop: ['ALL'] };
      return {
        // `none` restricts every container.
        'privileged-init': governance.grant === 'none' ? workspace(governance) : outside(governance),
        'lasting-init': workspace(governance, ['NET_ADMIN', 'CHOWN']),
        workspace: workspace(governance),
        'locked-down': outside(governance, lockedDown),
        'net-admin': workspace(governance, ['NET_ADMIN']),
        'own-seccomp': { ...workspace(governance), seccomp: 'RuntimeDefault' },
        'odd-spelling': workspace(governance, ['CHOWN', 'SYS_ADMIN']),
      };
    },
  },
};

/** The stored ones that a person has read. */
const READ: Readonly<Record<string, readonly string[]>> = {
  'userns-none': ['plain'],
  'userns-sudo': ['plain', 'host-namespaces'],
  'userns-containers': ['plain', 'docker-in-docker', 'sidecars'],
  'userns-sysadmin': ['docker-in-docker'],
  'sysbox-none': ['plain'],
  'sysbox-sudo': ['sidecars'],
  'sysbox-containers': ['plain', 'docker-in-docker'],
  'kata-qemu-none': ['plain'],
  'kata-qemu-containers': ['docker-in-docker', 'limited'],
  'kata-clh-sudo': ['foreign-class'],
  'gvisor-containers': ['docker-in-docker'],
};

const golden = goldenFiles('stored');
let apiServer: ApiServer;

beforeAll(async () => {
  apiServer = await useApiServer();
});

test('every golden file is compared with a pod', async () => {
  const names = Object.entries(READ).flatMap(([id, names]) => names.map((name) => `${id}.${name}.yaml`));
  expect(await golden.orphans(names)).toEqual([]);
});

describe.each(governances)('under $id', (governance) => {
  const { id, backend, grant } = governance;
  const namespace = `stored-${id}`;
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  let tenant: Client;

  beforeAll(async () => {
    await apiServer.createNamespace(namespace, { 'cloister.dev/enforce': id });
    tenant = await apiServer.createTenant(namespace, 'author');
  });

  test.each(Object.entries(cases))(
    'T08, T34: %s is stored isolated, with its grant and nothing more',
    async (name, { pod, containers, nodeSelector }) => {
      const { spec, metadata } = await stored(pod);
      expect(authoredAnnotations(metadata.annotations)).toEqual({ 'cloister.dev/profile-applied': `${id}/${grant}` });
      const wall = WALLS[backend];
      const onNodes = { ...wall.nodeSelector, ...nodeSelector };
      expect({
        hostUsers: spec.hostUsers,
        runtimeClassName: spec.runtimeClassName,
        overhead: spec.overhead,
        nodeSelector: spec.nodeSelector ?? {},
        hostNamespaces: [spec.hostNetwork, spec.hostPID, spec.hostIPC].filter((each) => each === true),
        dnsPolicy: spec.dnsPolicy,
      }).toEqual({
        hostUsers: wall.hostUsers,
        runtimeClassName: wall.runtimeClassName,
        overhead: wall.overhead,
        nodeSelector: onNodes,
        hostNamespaces: [],
        dnsPolicy: 'ClusterFirst',
      });
      expect(viewsOf(spec)).toEqual(containers(governance));
      expect(new Set(spec.volumes.map((each) => each.name)).size).toBe(spec.volumes.length);
      if (READ[id]?.includes(name)) {
        const text = stringify(
          { metadata: { annotations: metadata.annotations }, spec: withoutDefaults(spec) },
          { lineWidth: 0, version: '1.1' },
        );
        const expected = await golden.text(`${id}.${name}.yaml`, text);
        expect(text).toBe(differences.keepsPodResources ? expected : expected.replace(POD_RESOURCES, ''));
      }
    },
  );

  test.each(Object.entries(cases))(
    'T33: %s is stored with the same bytes when it is submitted again, as written or as stored',
    async (_, { pod }) => {
      const first = await stored(pod);
      const second = await stored(pod);
      expect(JSON.stringify(second)).toBe(JSON.stringify(first));
      const { annotations = {} } = first.metadata;
      const third = await stored({ ...pod, metadata: { ...pod.metadata, annotations }, spec: first.spec });
      expect(JSON.stringify(third)).toBe(JSON.stringify(first));
    },
  );

  /** Creates the pod, reads back what is there, and takes it away again. */
  async function stored(pod: { readonly metadata: PodManifest['metadata']; readonly spec: object }): Promise<StoredPod> {
    const created = await tenant.request('POST', pods, pod);
    expect(created, JSON.stringify(created.body)).toMatchObject({ status: 201 });
    const { body } = await tenant.request<StoredPod>('GET', `${pods}/${pod.metadata.name}`);
    await tenant.request('DELETE', `${pods}/${pod.metadata.name}`);
    return withoutServersNoise(body);
  }
});

test('under grantTo only the named containers get the grant, whatever their platform wrote', async () => {
  const governance: Governance = { id: 'userns-named', backend: 'userns', grant: 'containers' };
  await apiServer.createNamespace('stored-named', { 'cloister.dev/enforce': governance.id });
  const restricted = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, seccompProfile: { type: 'RuntimeDefault' } };
  const containers = ['workspace', 'tooling-git', 'proxy'].map((name) => ({ name, image: 'platform', securityContext: restricted }));
  const pod = plainPod('named', { containers: [...containers, { name: 'free', image: 'platform' }] });
  expect((await apiServer.admin.request('POST', '/api/v1/namespaces/stored-named/pods', pod)).status).toBe(201);
  const { body } = await apiServer.admin.request<StoredPod>('GET', '/api/v1/namespaces/stored-named/pods/named');
  expect(viewsOf(body.spec)).toEqual({
    workspace: workspace(governance),
    'tooling-git': workspace(governance),
    proxy: outside(governance, { escalation: false, drop: ['ALL'] }),
    free: outside(governance),
  });
});

interface StoredPod {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>>; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: StoredSpec;
}

interface StoredSpec extends Wall {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly dnsPolicy: string;
  readonly securityContext: SecurityContext;
  readonly initContainers?: readonly StoredContainer[];
  readonly containers: readonly StoredContainer[];
  readonly volumes: readonly { readonly name: string; readonly emptyDir?: { readonly medium?: string; readonly sizeLimit?: string } }[];
}

interface StoredContainer {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly ports?: readonly { readonly hostPort?: number; readonly hostIP?: string }[];
  readonly securityContext?: SecurityContext;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

interface SecurityContext {
  readonly privileged?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly procMount?: string;
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  readonly seccompProfile?: LocalProfile;
  readonly appArmorProfile?: LocalProfile;
}

interface LocalProfile {
  readonly type: string;
  readonly localhostProfile?: string;
}

function viewsOf({ initContainers = [], containers, securityContext: ofPod, volumes }: StoredSpec): Record<string, View> {
  return Object.fromEntries([...initContainers, ...containers].map((each) => [each.name, viewOf(each)]));

  function viewOf({ securityContext: own = {}, env = [], ports = [], volumeMounts = [] }: StoredContainer): View {
    const ours = volumeMounts.filter(({ name }) => name.startsWith('cloister-'));
    const volumeOf = (name: string): string => {
      const { emptyDir } = volumes.find((each) => each.name === name) ?? {};
      return emptyDir === undefined ? 'no emptyDir' : [emptyDir.medium ?? [], emptyDir.sizeLimit ?? []].flat().join(' ');
    };
    return {
      privileged: own.privileged ?? false,
      escalation: own.allowPrivilegeEscalation,
      drop: own.capabilities?.drop ?? [],
      add: (own.capabilities?.add ?? []).toSorted(),
      seccomp: printProfile(own.seccompProfile ?? ofPod.seccompProfile) ?? 'unset',
      appArmor: printProfile(own.appArmorProfile ?? ofPod.appArmorProfile),
      procMount: own.procMount ?? 'Default',
      storage: Object.fromEntries(ours.map(({ name, mountPath }) => [mountPath, volumeOf(name)])),
      sysboxMode: env.find(({ name }) => name === 'SYSBOX_SYSCONT_MODE')?.value,
      hostPorts: ports.filter(({ hostPort, hostIP }) => hostPort !== undefined || hostIP !== undefined).length,
    };
  }
}

const printProfile = (profile: LocalProfile | undefined): string | undefined =>
  profile && [profile.type, profile.localhostProfile].filter((each) => each !== undefined).join(' ');

/** Removes ids, times and the random end of a volume's name, which differ for each request. */
function withoutServersNoise({ metadata, spec }: StoredPod): StoredPod {
  const { annotations, labels } = metadata;
  const kept = { ...(labels && { labels }), ...(annotations && { annotations }) };
  return { metadata: kept, spec: JSON.parse(JSON.stringify(spec).replaceAll(/kube-api-access-\w+/g, 'kube-api-access')) as StoredSpec };
}

const DEFAULTS = [
  'enableServiceLinks',
  'imagePullPolicy',
  'preemptionPolicy',
  'priority',
  'restartPolicy',
  'schedulerName',
  'serviceAccount',
  'serviceAccountName',
  'terminationGracePeriodSeconds',
  'terminationMessagePath',
  'terminationMessagePolicy',
  'tolerations',
];

const MAY_BE_EMPTY = ['resources', 'securityContext', 'volumes', 'volumeMounts'];

/** What every pod has, so that the rest can be read. */
/** Of a pod as golden files have it. */
const POD_RESOURCES = /^ {2}resources:\n(?: {4}.*\n)+/m;

function withoutDefaults(spec: StoredSpec): unknown {
  const text = JSON.stringify(spec, function (this: { restartPolicy?: string; image?: string }, key, value) {
    if (DEFAULTS.includes(key) && !(key === 'restartPolicy' && this.image !== undefined)) return undefined;
    return Array.isArray(value) ? value.filter((each) => each?.name !== 'kube-api-access') : value;
  });
  const isNoise = (key: string, value: object): boolean => MAY_BE_EMPTY.includes(key) && Object.keys(value).length === 0;
  return JSON.parse(text, (key, value) => (isNoise(key, value) ? undefined : value));
}
