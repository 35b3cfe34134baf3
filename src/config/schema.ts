import * as z from 'zod';
import { SYSTEM_NAMESPACES } from '../core/governance.ts';
import { NAMESPACE_LABELS } from '../core/labels.ts';
import { DNS_LABEL, makeNamePattern } from '../core/name-pattern.ts';
import { backends } from '../core/profiles/index.ts';
import { type Backend, COMMON_OPTIONS, type ProfileOptions } from '../core/profiles/profile.ts';
import { GRANTS } from '../core/requirements.ts';
import { isObject } from '../core/shape.ts';
import { must } from './problems.ts';

/** The schemas of the configuration file, one for each of its levels. */

export const API_VERSION = 'cloister.dev/v1alpha1';
const DAY_MS = 24 * 60 * 60 * 1000;

/** @param never a second pattern, which the text must not match: a JSON Schema is generated from this, and its patterns have no lookahead */
function textLike(pattern: RegExp, what: string, never?: RegExp): z.ZodString {
  const text = z.string(must(what)).regex(pattern, { ...must(what), abort: true });
  return never === undefined ? text : text.refine((value) => !never.test(value), must(what)).meta({ not: { pattern: never.source } });
}
const listOf = <S extends z.ZodType>(item: S, what: string) => z.array(item, must(what));
const someOf = <S extends z.ZodType>(item: S, what: string) => listOf(item, what).min(1, must(what));
const oneOf = <const T extends readonly string[]>(values: T) => z.enum(values, must(`be one of ${values.join(', ')}`));
const mapOf = (what: string) => z.custom<Readonly<Record<string, unknown>>>(isObject, must(`be a map ${what}`));

const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const TOO_LONG_A_SUBDOMAIN = /^.{254}/;
const NO_BLANK_ENDS = /^\S(.*\S)?$/;
/** Modules in CIL, such as those of udica, have types with a dot. */
const SELINUX_TYPE = /^\w[-\w.]*$/;
/** The default of the runtime, which a missing option means, and the values of the legacy annotation. */
const NO_APPARMOR_PROFILE = /^(RuntimeDefault|runtime\/default|unconfined)$|^localhost\//;
const LEAVES_ITS_FOLDER = /^\/|(^|\/)\.\.(\/|$)/;
const ABSOLUTE_PATH = /^(\/[^/:\t\r\n]+)+$/;
/** The quantities that a volume for images can have: a megabyte or more. */
const SIZE =
  /^(([1-9]\d*(\.\d*)?|0?\.\d*[1-9]\d*)[MGTPE]i?|[1-9]\d{3,}(\.\d*)?(k|Ki)|[1-9]\d{6,}(\.\d*)?|[1-9]\d*(\.\d*)?[eE]\+?([6-9]|1\d))$/;
const PREFIX = `${DNS_SUBDOMAIN.source.slice(0, -1)}/`;
const NAME = '[A-Za-z0-9]([-\\w.]{0,61}[A-Za-z0-9])?';
/** Qualified names, as labels and taints have them, and with the prefix that an extended resource must have. */
const QUALIFIED_NAME = new RegExp(`^(${PREFIX.slice(1)})?${NAME}$`);
const EXTENDED_RESOURCE = new RegExp(`${PREFIX}${NAME}$`);
const LABEL_VALUE = new RegExp(`^(${NAME})?$`);
/** The value of a toleration: with the operators Lt and Gt a number, which may be negative. */
const TOLERATION_VALUE = new RegExp(`^(${NAME}|-[1-9]\\d*)?$`);
const KEY_VALUE = new RegExp(`${QUALIFIED_NAME.source.slice(0, -1)}(=${LABEL_VALUE.source.slice(1, -1)})?$`);
const CSI_DRIVER = /^[A-Za-z0-9]([-A-Za-z0-9.]{0,61}[A-Za-z0-9])?$/;
const HAS_DOTS = /\/\.\.?(\/|$)/;
/** Each element is a level of one CEL expression, and the API server parses at most 250 levels. */
export const MAX_GOVERNS = 64;
/** All patterns are in one CEL expression, and the API server parses at most 100,000 characters. */
export const MAX_NAMESPACE_PATTERNS = 256;
/** The names are in the selector of every entry. */
const MAX_EXCLUDED = 64;

const glob = textLike(/^[-a-z0-9.*]+$/, 'be a name in lower case; * in it stands for any run of characters').transform(makeNamePattern);
/** It becomes a part of a regular expression, where only `*` has a meaning. */
const namespacePattern = textLike(/^[-a-z0-9*]{1,63}$/, 'be the name of a namespace; * in it stands for any run of characters');
const profileName = textLike(DNS_LABEL, 'be the name of a profile');
const runtimeClass = textLike(DNS_SUBDOMAIN, 'be the name of a RuntimeClass', TOO_LONG_A_SUBDOMAIN);
const mountPath = textLike(ABSOLUTE_PATH, 'be an absolute path without `..`, a colon or a slash at its end', HAS_DOTS);
const device = textLike(EXTENDED_RESOURCE, 'be an extended resource with its domain, such as nvidia.com/gpu');
const gracePeriod = must('be a positive number of seconds');
const csiDriver = textLike(CSI_DRIVER, 'be the name of a CSI driver, such as secrets-store.csi.k8s.io');
const keyValue = textLike(KEY_VALUE, 'be a key, or key=value, such as kubernetes.azure.com/mode=system');
const qualifiedName = textLike(QUALIFIED_NAME, 'be the key of a label, such as kubernetes.io/arch');
const labelValue = textLike(LABEL_VALUE, 'be the value of a label');
const seconds = must('be a number of seconds');
const toleration = z
  .strictObject(
    {
      key: qualifiedName,
      operator: oneOf(['Exists', 'Equal', 'Lt', 'Gt']),
      value: textLike(TOLERATION_VALUE, 'be the value of a taint'),
      effect: oneOf(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
      tolerationSeconds: z.int(seconds),
    },
    must('be a toleration'),
  )
  .partial();
const scheduling = z
  .strictObject(
    {
      nodeSelector: z.record(qualifiedName, labelValue, must('be a map of labels')),
      tolerations: listOf(toleration, 'be a list of tolerations'),
    },
    must('be a map with nodeSelector and tolerations, as in the RuntimeClass'),
  )
  .partial();
const idsPerPod = must('be a positive multiple of 65536');

/** The schema of each option of a profile. The backend decides which options a profile has. */
export const optionSchemas = {
  grant: oneOf(GRANTS),
  nesting: oneOf(['seccomp', 'sysadmin']),
  seccompProfile: textLike(
    NO_BLANK_ENDS,
    "be a path below the kubelet's seccomp folder, such as cloister/workspace.json",
    LEAVES_ITS_FOLDER,
  ),
  appArmorProfile: textLike(
    NO_BLANK_ENDS,
    "be Unconfined or the name of a profile on the nodes; leave it out for the runtime's default",
    NO_APPARMOR_PROFILE,
  ),
  seLinuxType: textLike(SELINUX_TYPE, 'be the name of an SELinux type, such as container_engine_t'),
  grantTo: someOf(
    glob,
    'be a list of at least one container name; without `grantTo`, every regular container and native sidecar gets the grant',
  ),
  storage: listOf(mountPath, 'be a list of absolute paths').check(z.superRefine(refuseRepeated)).meta({ uniqueItems: true }),
  storageMedium: oneOf(['memory', 'disk']),
  storageSize: textLike(SIZE, 'be a quantity of bytes, at least a megabyte, such as 4Gi'),
  mayChoose: listOf(profileName, 'be a list of profile names'),
  devices: listOf(device, 'be a list of extended resources, such as nvidia.com/gpu'),
  csiDrivers: listOf(csiDriver, 'be a list of CSI drivers'),
  deniedTolerations: listOf(keyValue, 'be a list of taints'),
  deniedNodeLabels: listOf(keyValue, 'be a list of labels of nodes'),
  runtimeClassName: runtimeClass,
  runtimeClasses: listOf(runtimeClass, 'be a list of RuntimeClass names'),
  runtimeClassScheduling: scheduling,
  idsPerPod: z.int(idsPerPod).positive(idsPerPod).multipleOf(65536, idsPerPod),
  identity: oneOf(['host-users', 'crio-annotation']),
  guestPrivileged: z.boolean(must('be true or false')),
  serviceAccountToken: oneOf(['keep', 'remove']),
  antiAffinity: oneOf(['own-namespace', 'all-namespaces']),
  maxTerminationGracePeriodSeconds: z.int(gracePeriod).positive(gracePeriod),
} satisfies { readonly [Option in keyof Required<ProfileOptions>]: z.ZodType<ProfileOptions[Option]> };

/** Names, because a pattern may match a namespace that a tenant creates. */
const excludedNamespaces = listOf(textLike(DNS_LABEL, 'be the name of a namespace; * has no meaning here'), 'be a list of namespaces').max(
  MAX_EXCLUDED,
  must(`have at most ${MAX_EXCLUDED} elements`),
);

/** One second is too short for a new connection of a busy API server. Kubernetes allows 30, which a user would wait for each entry. */
function secondsUpTo(most: number): z.ZodInt {
  const seconds = must(`be a whole number of seconds from 2 to ${most}`);
  return z.int(seconds).min(2, seconds).max(most, seconds);
}

/** The top level of the file. */
export const configSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION, must(`be ${API_VERSION}`)),
  kind: z.literal('Config', must('be Config')),
  profiles: mapOf('of profiles by name; without `profiles`, userns is the only profile; with {}, there is no profile').optional(),
  governs: listOf(z.unknown(), 'be a list of namespaces, each with its profiles')
    .max(MAX_GOVERNS, must(`have at most ${MAX_GOVERNS} elements`))
    .optional(),
  default: mapOf('of a mode (enforce, warn, audit) to its profile').optional(),
  exemptions: listOf(z.unknown(), 'be a list of exemptions').optional(),
  excludedNamespaces: excludedNamespaces.optional(),
  timeoutSeconds: z
    .strictObject(
      { mutate: secondsUpTo(10), enforce: secondsUpTo(10), watch: secondsUpTo(5) },
      must('be a map of mutate, enforce or watch to seconds'),
    )
    .partial()
    .optional(),
  guard: z.boolean(must('be true or false')).optional(),
  backstop: z.boolean(must('be true or false')).optional(),
});

export const MODES = Object.keys(NAMESPACE_LABELS) as (keyof typeof NAMESPACE_LABELS)[];
const byMode = { enforce: profileName.optional(), warn: profileName.optional(), audit: profileName.optional() };
const hasMode = (modes: object): boolean => MODES.some((mode) => Object.hasOwn(modes, mode));
const aMap = must('be a map of namespaces, and of a mode (enforce, warn, audit) to its profile');
const aMode = must('name a profile for at least one of enforce, warn and audit');
const aModeMeta = { anyOf: MODES.map((mode) => ({ required: [mode] })) };

const governable = namespacePattern
  .refine((name) => !SYSTEM_NAMESPACES.includes(name), must(`not be ${SYSTEM_NAMESPACES.join(' or ')}, which Cloister never governs`))
  .meta({ not: { enum: SYSTEM_NAMESPACES } });

/** An element of `governs`. */
export const governsSchema = z
  .strictObject({ namespaces: someOf(governable, "be a list of at least one namespace; '*' stands for all"), ...byMode }, aMap)
  .refine(hasMode, aMode)
  .meta(aModeMeta);

export const defaultSchema = z
  .strictObject({ ...byMode, except: listOf(namespacePattern, 'be a list of namespaces').optional() })
  .refine(hasMode, aMode)
  .meta(aModeMeta);

export const exemptionSchema = z.strictObject({
  reason: textLike(/\S/, 'say why'),
  expires: z.union(
    [
      z.iso.date().transform((day) => new Date(Date.parse(day) + DAY_MS)),
      z.iso.datetime({ offset: true }).transform((instant) => new Date(instant)),
    ],
    must('be a date, such as 2027-06-30, or a time with its zone, such as 2027-06-30T18:00:00Z'),
  ),
  namespaces: someOf(glob, "be a list of at least one namespace; '*' stands for all"),
  serviceAccounts: someOf(glob, "be a list of at least one service account; '*' stands for all"),
  containers: someOf(glob, 'be a list of at least one container name; leave it out for every container').optional(),
  allow: mapOf('of rule ids, each with the list of values that it lets through'),
});

/** The values that an exemption allows for one rule. */
export const allowedValuesSchema = someOf(textLike(/\S/, 'be a text that is not empty'), 'be a list of at least one value');

const profileSchemaByBackend: ReadonlyMap<string, z.ZodObject> = new Map(
  backends.map((backend) => [backend.id, makeProfileSchema(backend)]),
);
/** With every option: the values can be checked even if the backend is unknown. */
const anyProfileSchema = z.strictObject({ extends: profileName, ...optionSchemas }).partial();

export function profileSchemaOf(backend: Backend | undefined): z.ZodObject {
  return profileSchemaByBackend.get(backend?.id ?? '') ?? anyProfileSchema;
}

function makeProfileSchema({ options }: Backend): z.ZodObject {
  const entries = [...COMMON_OPTIONS, ...options].map((option) => [option, optionSchemas[option]] as const);
  return z.strictObject({ extends: profileName, ...Object.fromEntries(entries) }).partial();
}

function refuseRepeated(values: readonly string[], context: z.RefinementCtx): void {
  for (const [index, value] of values.entries()) {
    if (values.indexOf(value) < index) context.addIssue({ code: 'custom', path: [index], message: `repeats ${value}: remove it` });
  }
}

/** The value of a key; undefined where the parent is not a map. */
export function fieldOf(map: unknown, key: string): unknown {
  return isObject(map) && Object.hasOwn(map, key) ? map[key] : undefined;
}
