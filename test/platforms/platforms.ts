import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { applyToCopy } from '../../src/apply-patch.ts';
import { type Config, parseConfig } from '../../src/config/load.ts';
import { type JudgeInput, judge, type Verdict } from '../../src/core/judge.ts';
import { selectPolicy } from '../../src/core/policy.ts';
import { type Repair, repair } from '../../src/core/repair.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { readPage } from '../docs/page.ts';
import { NOW } from '../support/test-rule.ts';

/** The platforms with a page, the pods that they make, and what has to work in each. */

export const BACKENDS = ['userns', 'sysbox', 'kata-qemu', 'gvisor'] as const;
export type BackendId = (typeof BACKENDS)[number];

/** A container that must start, and the capability that it cannot do without. */
export interface Need {
  readonly container: string;
  readonly capability: string;
}

/** The levels of Pod Security, from the strictest. */
export const LEVELS = ['restricted', 'baseline', 'privileged'] as const;
export type Level = (typeof LEVELS)[number];

export interface PlatformPod {
  /** A file of examples/platforms. */
  readonly file: string;
  /** The container that the page calls the workspace. */
  readonly workspace: string;
  /** Containers that lose what they need without the exemption of the page, and keep it with the exemption. */
  readonly needs?: readonly Need[];
  /** Whether the pod is refused, because only a person can change what is wrong. */
  readonly isRefused?: boolean;
  /** Strictest levels that differ from those of the backend. */
  readonly levels?: Partial<Readonly<Record<BackendId, Level>>>;
}

export interface Platform {
  /** The name of its page and of its preset. */
  readonly id: string;
  readonly pods: readonly PlatformPod[];
  /** Backends under which no pod of the platform is judged, because the page is about one backend. */
  readonly backends?: readonly BackendId[];
}

export const PLATFORMS: readonly Platform[] = [
  { id: 'gitlab', pods: [{ file: 'gitlab.yaml', workspace: 'development-environment' }] },
  { id: 'che', pods: [{ file: 'che.yaml', workspace: 'tools' }] },
  {
    id: 'coder',
    pods: [
      { file: 'coder.yaml', workspace: 'dev' },
      { file: 'coder-devcontainer.yaml', workspace: 'dev' },
      { file: 'coder-envbox.yaml', workspace: 'dev', isRefused: true },
    ],
  },
  // SYS_PTRACE, which the pod asks for, stays under gVisor.
  { id: 'devpod', pods: [{ file: 'devpod.yaml', workspace: 'devpod', levels: { gvisor: 'privileged' } }] },
  {
    id: 'jupyterhub',
    pods: [
      { file: 'jupyterhub.yaml', workspace: 'notebook' },
      {
        file: 'jupyterhub-iptables.yaml',
        workspace: 'notebook',
        needs: [{ container: 'block-cloud-metadata', capability: 'NET_ADMIN' }],
      },
    ],
  },
  {
    id: 'arc',
    pods: [
      { file: 'arc.yaml', workspace: 'dind' },
      { file: 'arc-regular-dind.yaml', workspace: 'dind' },
    ],
  },
  { id: 'openshift', pods: [{ file: 'openshift.yaml', workspace: 'tools' }], backends: ['userns'] },
];

const root = join(import.meta.dirname, '../..');

export const presetText = (id: string): string => readFileSync(join(root, 'charts/cloister/presets', `${id}.yaml`), 'utf8');
export const podText = (file: string): string => readFileSync(join(root, 'examples/platforms', file), 'utf8');

export interface PodObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly [field: string]: unknown;
}

/** The strictest level that lets pods with the grant `containers` through. */
const LEVEL_OF: Readonly<Record<BackendId, Level>> = {
  userns: 'baseline',
  sysbox: 'baseline',
  'kata-qemu': 'privileged',
  gvisor: 'baseline',
};

/** One row of the table of a page: a pod under a profile, without or with the exemption of the page. */
export interface Row {
  readonly platform: Platform;
  readonly pod: PlatformPod;
  readonly backend: BackendId;
  readonly exempts: boolean;
  /** The strictest level that lets the repaired pod through; undefined: the pod is refused anyway. */
  readonly level: Level | undefined;
}

export function rowsOfPlatform(platform: Platform): readonly Row[] {
  return platform.pods.flatMap((pod) =>
    [false, true]
      .filter((exempts) => !exempts || pod.needs !== undefined)
      .flatMap((exempts) =>
        (platform.backends ?? BACKENDS).map((backend) => {
          const level = exempts ? 'privileged' : (pod.levels?.[backend] ?? LEVEL_OF[backend]);
          return { platform, pod, backend, exempts, level: pod.isRefused ? undefined : level };
        }),
      ),
  );
}

export const ROWS: readonly Row[] = PLATFORMS.flatMap(rowsOfPlatform);
export const titleOf = ({ pod, backend, exempts }: Row): string => `${pod.file} under ${backend}${exempts ? ', with the exemption' : ''}`;

/** A new copy each time. */
export const podOf = (file: string): PodObject => parse(podText(file)) as PodObject;

/** The YAML blocks of a page, in their order. A block in a list is indented. */
export const blocksOf = (id: string): readonly string[] => codeOf(id, 'yaml');

export function codeOf(id: string, language: string): readonly string[] {
  const { text } = readPage(`docs/platforms/${id}.md`);
  const blocks = text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\``, 'gm'));
  return [...blocks].map(([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''));
}

/** What the last step of `Set up` checks in a workspace that runs. */
export interface PageCheck {
  /** Of the pods of workspaces; undefined: the page names none. */
  readonly selector: string | undefined;
  /** The container in which commands run. */
  readonly container: string;
  /** The script that tries sudo and the engine; undefined: the page tries them in another way. */
  readonly script: string | undefined;
}

export function checkOf(id: string): PageCheck {
  const text = codeOf(id, 'sh').find((block) => block.includes('uid_map'));
  if (text === undefined) throw new Error(`docs/platforms/${id}.md shows no uid_map`);
  const [, container = ''] = /--container (\S+) -- cat \/proc\/self\/uid_map/.exec(text) ?? [];
  return { selector: /--selector (\S+)/.exec(text)?.[1], container, script: /-- sh -c '(.*)'/.exec(text)?.[1] };
}

/** The objects in these blocks. */
export const objectsOf = (id: string): readonly Readonly<Record<string, unknown>>[] =>
  blocksOf(id).flatMap((block) => parseAllDocuments(block).map((document) => document.toJS()));

/** The exemptions of the page, for those who need them. */
export const exemptionsOf = (id: string): readonly object[] =>
  objectsOf(id).flatMap(({ exemptions = [] }) => exemptions as readonly object[]);

const CONFIG_KEYS = ['profiles', 'governs', 'default', 'exemptions', 'excludedNamespaces', 'timeoutSeconds'];

/** Values of the chart as a configuration file, as the chart renders them. */
export function configText(values: Readonly<Record<string, unknown>>): string {
  const config = Object.fromEntries(Object.entries(values).filter(([key]) => CONFIG_KEYS.includes(key)));
  return stringify({ apiVersion: 'cloister.dev/v1alpha1', kind: 'Config', ...config });
}

interface Values {
  readonly profiles: Readonly<Record<string, { readonly grantTo?: readonly string[] } | null>>;
  readonly [key: string]: unknown;
}

/** The preset, with the backends that it lacks: each of these grants the same to the same containers. */
export function valuesOf({ id }: Platform, { exempts = false } = {}): Values {
  const preset = parse(presetText(id)) as Values;
  const grantTo = Object.values(preset.profiles).find((profile) => profile?.grantTo !== undefined)?.grantTo;
  const others = BACKENDS.map((backend) => [backend, { grant: 'containers', ...(grantTo === undefined ? {} : { grantTo }) }]);
  const exemptions = exempts ? { exemptions: exemptionsOf(id) } : {};
  return { ...preset, profiles: { ...Object.fromEntries(others), ...preset.profiles }, ...exemptions };
}

export function configOf(text: string): Config {
  const config = parseConfig(text, 'the page', { now: NOW });
  if (!config.ok) throw new Error(config.error.join('\n'));
  return config.value;
}

/** What becomes of a pod of a platform. */
export interface Outcome {
  readonly input: JudgeInput;
  readonly verdict: Verdict;
  readonly repair: Repair;
}

export const outcomeOf = ({ platform, pod, backend, exempts }: Row): Outcome =>
  judgedUnder(configOf(configText(valuesOf(platform, { exempts }))), backend, podOf(pod.file));

/** The spec of the pod in the document, as far as the tests read it. */
export interface PodSpecManifest {
  readonly containers: readonly ContainerManifest[];
  readonly initContainers?: readonly ContainerManifest[];
  readonly [field: string]: unknown;
}

export interface ContainerManifest {
  readonly name: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

export function podSpecOf(document: object): PodSpecManifest {
  const { spec } = document as { readonly spec: PodSpecManifest & { readonly template?: { readonly spec: PodSpecManifest } } };
  return spec.template?.spec ?? spec;
}

export function containerOf(spec: PodSpecManifest, name: string): ContainerManifest {
  const found = [...(spec.initContainers ?? []), ...spec.containers].find((each) => each.name === name);
  if (found === undefined) throw new Error(`the pod has no container ${name}`);
  return found;
}

const USERNS_CAPABILITIES = 'SETUID SETGID CHOWN DAC_OVERRIDE FOWNER FSETID SETFCAP SETPCAP KILL NET_BIND_SERVICE SYS_CHROOT'.split(' ');

/** What a container with the grant `containers` has under each backend, found by hand on real runtimes: docs/profiles. */
const GRANTED: Readonly<
  Record<BackendId, { readonly securityContext: object; readonly capabilities: readonly string[]; readonly env?: string }>
> = {
  userns: {
    securityContext: {
      allowPrivilegeEscalation: true,
      procMount: 'Unmasked',
      seccompProfile: { type: 'Localhost', localhostProfile: 'cloister/workspace.json' },
    },
    capabilities: USERNS_CAPABILITIES,
  },
  sysbox: { securityContext: { allowPrivilegeEscalation: true }, capabilities: [], env: 'TRUE' },
  'kata-qemu': { securityContext: { allowPrivilegeEscalation: true }, capabilities: ['SETUID', 'SYS_ADMIN', 'NET_ADMIN'] },
  gvisor: { securityContext: { allowPrivilegeEscalation: true }, capabilities: ['SETUID', 'CHOWN', 'SYS_CHROOT'] },
};

/** What the container lacks of its grant; empty: it holds the grant. */
export function lacks({ env = [], securityContext = {} }: ContainerManifest, backend: BackendId): readonly string[] {
  const granted = GRANTED[backend];
  const { capabilities = {} } = securityContext;
  const mode = env.find(({ name }) => name === 'SYSBOX_SYSCONT_MODE')?.value;
  return [
    ...Object.entries(granted.securityContext).flatMap(([field, value]) =>
      isDeepStrictEqual(securityContext[field], value) ? [] : [`${field}: ${JSON.stringify(value)}`],
    ),
    ...granted.capabilities.filter((each) => !capabilities.add?.includes(each)),
    ...(securityContext.privileged === true ? ['privileged: false'] : []),
    ...(mode === granted.env ? [] : [`SYSBOX_SYSCONT_MODE=${granted.env}`]),
  ];
}

export function judgedUnder(config: Config, profileId: string, object: PodObject): Outcome {
  const group = object.apiVersion.includes('/') ? object.apiVersion.replace(/\/.*/, '') : '';
  const subject = subjectOf(object, group, object.kind);
  const profile = config.profiles.get(profileId);
  if (!subject.ok || profile === undefined) throw new Error(`no pod, or no profile ${profileId}`);
  const policy = selectPolicy(profile, subject.value.pod, { profiles: config.profiles, obeysProfileLabel: false });
  const { exemptions } = config;
  const input = { subject: subject.value, policy, namespace: object.metadata.namespace, exemptions, now: NOW };
  const verdict = judge(input);
  return { input, verdict, repair: repair(input, verdict, { apply: applyToCopy, addsAnnotation: false }) };
}
