import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isCollection, isMap, isScalar, type Pair, parseDocument, stringify, type YAMLMap } from 'yaml';
import * as z from 'zod';
import { configLevels, type JsonSchema, toJsonSchema } from '../../src/config/json-schema.ts';
import { configSchema, defaultSchema } from '../../src/config/schema.ts';
import { selectChecks } from '../../src/doctor/examine.ts';
import { rulesOf } from '../../src/doctor/rights.ts';
import { policiesWith } from '../../src/manifests/policies.ts';
import { LOG_LEVELS } from '../../src/telemetry/logger.ts';
import { readArguments } from './shared/arguments.ts';

/**
 * `./dev chart`: writes the generated files of the chart. A test compares the files with the output.
 *
 * The schema of the values contains the schema of the configuration, so that `helm install` accepts what `cloister serve` reads. The comments in
 * values.yaml describe the values; the schema and the table of the README copy them.
 */

const chart = join(import.meta.dirname, '../../charts/cloister');

/** The generated files, by their path in the chart. */
export async function chartFiles(): Promise<ReadonlyMap<string, string>> {
  const [values, readme] = await Promise.all(['values.yaml', 'README.md'].map((name) => readFile(join(chart, name), 'utf8')));
  const documented = documentedValues(values ?? '');
  return new Map([
    ['values.schema.json', `${JSON.stringify(schemaOf(documented), null, 2)}\n`],
    ['files/policies.yaml', policiesText()],
    ['files/test-rules.yaml', testRulesText()],
    ['README.md', withTable(readme ?? '', documented)],
  ]);
}

// Kubernetes' own types reach the API server unchanged. Their schemas here catch typing mistakes, and are not complete.
const anyObject = z.looseObject({});
const names = z.record(z.string(), z.string());
const quantities = z.record(z.string(), z.union([z.string(), z.number()]));
const resources = z.strictObject({ requests: quantities, limits: quantities, claims: z.array(anyObject) }).partial();
const affinity = z.strictObject({ nodeAffinity: anyObject, podAffinity: anyObject, podAntiAffinity: anyObject }).partial();
const toleration = z
  .strictObject({
    key: z.string(),
    operator: z.enum(['Exists', 'Equal', 'Lt', 'Gt']),
    value: z.string(),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
    tolerationSeconds: z.int(),
  })
  .partial();
const variable = z.strictObject({ name: z.string().min(1), value: z.string().optional(), valueFrom: anyObject.optional() });
const subject = z.strictObject({
  kind: z.enum(['User', 'Group', 'ServiceAccount']),
  name: z.string().min(1),
  namespace: z.string().optional(),
  apiGroup: z.string().optional(),
});
const peer = z.strictObject({ podSelector: anyObject, namespaceSelector: anyObject, ipBlock: anyObject }).partial();

const OWN_LABEL = /^(app\.kubernetes\.io\/(name|instance|version|managed-by|component)|helm\.sh\/chart)$/;
const ourLabels = names.meta({ propertyNames: { not: { pattern: OWN_LABEL.source } } });
const port = z.int().min(1).max(65_535);
const unprivilegedPort = port.min(1_024);
const duration = z.string().regex(/^\d{1,6}(ms|s|m)$/);
/** A duration in the notation of Go and cert-manager. */
const longDuration = z.string().regex(/^(\d+(h|m|s))+$/);
const cidr = z.string().regex(/^[0-9a-fA-F:.]+\/\d{1,3}$/);
const flag = z.string().regex(/^--/);
/** A host, perhaps with a port and a path. */
const registry = z.string().regex(/^[a-zA-Z0-9][-a-zA-Z0-9._:]*(\/[a-z0-9][-a-z0-9._]*)*$/);
const count = z.int().min(1);
const schedule = z.string().regex(/^(@(hourly|daily|midnight|weekly)|\S+ \S+ \S+ \S+ \S+)$/);
const id = z.int().min(1).max(4_294_967_295);
const subdomain = z.string().regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
const maybe = <S extends z.ZodType>(schema: S) => z.union([z.literal(''), schema]);

const valuesSchema = z
  .strictObject({
    image: z.strictObject({
      repository: z.string().regex(/^[a-zA-Z0-9][-a-zA-Z0-9._:]*(\/[a-z0-9][-a-z0-9._]*)*$/),
      tag: maybe(z.string().regex(/^\w[\w.-]{0,127}$/)),
      digest: maybe(z.string().regex(/^sha256:[0-9a-f]{64}$/)),
      pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
    }),
    imagePullSecrets: z.array(z.strictObject({ name: subdomain })),
    profiles: configLevels.profiles,
    governs: configLevels.governs,
    default: z.union([z.strictObject({}), defaultSchema]),
    exemptions: configLevels.exemptions,
    excludedNamespaces: configSchema.shape.excludedNamespaces.unwrap(),
    timeoutSeconds: configSchema.shape.timeoutSeconds.unwrap(),
    replicas: count,
    autoscaling: z.strictObject({ enabled: z.boolean(), minReplicas: count, maxReplicas: count, targetCPUUtilizationPercentage: count }),
    podDisruptionBudget: z.strictObject({ enabled: z.boolean(), maxUnavailable: count }),
    logLevel: z.enum(LOG_LEVELS),
    drainDelay: duration,
    clientCertificates: z.strictObject({ caConfigMap: maybe(subdomain), names: z.array(z.string().regex(/^[^,\s]+$/)) }),
    certificates: z.strictObject({
      source: z.enum(['ensure', 'cert-manager']),
      certManager: z.strictObject({
        issuerRef: z.union([
          z.strictObject({}),
          z.strictObject({ name: z.string().min(1), kind: z.string().optional(), group: z.string().optional() }),
        ]),
        duration: longDuration,
        renewBefore: longDuration,
      }),
    }),
    ports: z.strictObject({ webhook: unprivilegedPort, operations: unprivilegedPort, metrics: unprivilegedPort }),
    service: z.strictObject({ port, metrics: z.boolean(), annotations: names }),
    hostNetwork: z.boolean(),
    hostUsers: z.boolean().nullable(),
    userNamespaceGates: z.boolean(),
    runAs: z.strictObject({ user: id, group: id }).nullable(),
    resources,
    nodeSelector: names,
    tolerations: z.array(toleration),
    affinity,
    topologySpreadConstraints: z.array(anyObject).nullable(),
    priorityClassName: maybe(subdomain),
    priorityQuota: z.boolean(),
    labels: ourLabels,
    annotations: names,
    podLabels: ourLabels,
    podAnnotations: names,
    env: z.array(variable),
    extraArgs: z.array(flag),
    extraVolumes: z.array(z.looseObject({ name: subdomain })),
    extraVolumeMounts: z.array(z.looseObject({ name: subdomain, mountPath: z.string().startsWith('/') })),
    updateStrategy: z.strictObject({ type: z.enum(['RollingUpdate', 'Recreate']), rollingUpdate: anyObject.optional() }).nullable(),
    revisionHistoryLimit: z.int().min(0),
    serviceAccounts: z.strictObject({ annotations: names }),
    webhookConfigurations: z.strictObject({ annotations: names }),
    ensure: z.strictObject({
      schedule,
      wait: duration,
      settle: duration,
      overlap: duration,
      extraArgs: z.array(flag),
      resources,
    }),
    scan: z.strictObject({
      enabled: z.boolean(),
      schedule,
      output: z.enum(['openreports', 'json']),
      maxReports: count,
      extraArgs: z.array(flag),
      resources,
    }),
    nodeProfile: z.strictObject({
      enabled: z.boolean().nullable(),
      namespace: maybe(subdomain),
      kubeletRoot: z.string().regex(/^(\/[^/:\s]+)+$/),
      nodeSelector: names,
      tolerations: z.array(toleration),
      affinity,
      priorityClassName: maybe(subdomain),
      resources,
    }),
    networkPolicy: z.strictObject({
      enabled: z.boolean(),
      apiServerCidrs: z.array(cidr),
      apiServerPorts: z.array(port).min(1),
      metricsFrom: z.array(peer),
    }),
    labelers: z.array(subject),
    guard: z.strictObject({ enabled: configSchema.shape.guard.unwrap() }),
    backstop: z.strictObject({ enabled: configSchema.shape.backstop.unwrap() }),
    managers: z.array(subject),
    monitoring: z.strictObject({
      serviceMonitor: z.strictObject({ enabled: z.boolean(), interval: longDuration, labels: ourLabels }),
      podMonitor: z.strictObject({ enabled: z.boolean(), interval: longDuration, labels: ourLabels }),
      prometheusRule: z.strictObject({
        enabled: z.boolean(),
        labels: ourLabels,
        slowSeconds: z.number().positive(),
        denials: z.number().min(0),
      }),
      dashboard: z.strictObject({ enabled: z.boolean(), labels: ourLabels, annotations: names }),
    }),
    test: z.strictObject({ namespace: subdomain }),
    // Charts that include this one have values of their own in it.
    global: z.looseObject({ imageRegistry: maybe(registry) }).partial(),
  })
  .partial();

/** @param documented the descriptions of the values */
function schemaOf(documented: readonly Value[]): JsonSchema {
  const schema = toJsonSchema(valuesSchema);
  requireNothing(schema);
  for (const { path, description } of documented) {
    const place = path.reduce<JsonSchema | undefined>((found, key) => found?.properties?.[key], schema);
    if (place !== undefined && description !== '') place.description = description;
  }
  return schema;
}

/** Helm omits null values, and values may set a part of a map: only elements of lists have required properties. */
function requireNothing(schema: JsonSchema): void {
  delete schema.required;
  for (const property of Object.values(schema.properties ?? {})) requireNothing(property);
}

/** A template: what depends on the configuration is made from the values. */
function policiesText(): string {
  const named = policiesWith({ profiles: '@profiles@', ungoverned: '@ungoverned@', enforcedByName: '@enforcedByName@' });
  const objects = named.map(({ apiVersion, kind, metadata: { name }, spec }) => ({ apiVersion, kind, metadata: { name }, spec }));
  const text = objects.map((object) => stringify(object, { aliasDuplicateObjects: false, lineWidth: 0 })).join('---\n');
  return text.replaceAll(/"@(\w+)@"/g, '{{ include "cloister.$1" . | toJson }}');
}

/** The rights of `helm test`. A Role in one namespace has the right to create pods, which dry runs need. */
function testRulesText(): string {
  const rights = selectChecks({ dryRuns: true, pods: false }).flatMap(({ needs }) => needs);
  const rules = rulesOf(rights).map((rule) => ({ ...rule, verbs: rule.verbs.filter((verb) => verb !== 'create') }));
  return stringify({ rules }, { aliasDuplicateObjects: false });
}

interface Value {
  readonly path: readonly string[];
  readonly description: string;
  readonly byDefault: string;
}

/** Each value with the comment above it. A map with default entries is not a value itself. */
function documentedValues(text: string): readonly Value[] {
  const { contents } = parseDocument(text);
  if (!isMap(contents)) throw new Error('values.yaml is not a map');
  return walk(contents as YAMLMap, []);

  function walk(map: YAMLMap, above: readonly string[]): Value[] {
    return map.items.flatMap((item) => {
      const { key, value } = item as Pair;
      if (!isScalar(key)) throw new Error('values.yaml has a key that is not a scalar');
      const path = [...above, String(key.value)];
      const description = lastParagraph(key.commentBefore ?? (map.items[0] === item ? map.commentBefore : undefined) ?? '');
      if (isMap(value) && value.items.length > 0 && !WHOLE.has(path.join('.'))) return walk(value, path);
      const byDefault = isCollection(value) || isScalar(value) ? JSON.stringify(value.toJSON()) : 'null';
      return [{ path, description, byDefault }];
    });
  }
}

/** Maps that are one value in spite of their default entries. */
const WHOLE = new Set([
  'profiles',
  'resources',
  'ensure.resources',
  'scan.resources',
  'nodeProfile.resources',
  'monitoring.dashboard.labels',
]);

/** The comment of a key, without comments for the whole file above it. */
function lastParagraph(comment: string): string {
  const lines = comment.slice(comment.lastIndexOf('\n\n') + 1).split('\n');
  return lines
    .map((line) => line.trim())
    .join(' ')
    .trim();
}

const TABLE = /(?<=<!-- values: written by \.\/dev chart -->\n)[\s\S]*?(?=<!-- end of values -->)/;

function withTable(readme: string, documented: readonly Value[]): string {
  if (!TABLE.test(readme)) throw new Error('the README of the chart has no place for the table of values');
  const rows = documented.map(
    ({ path, description, byDefault }) => `| \`${path.join('.')}\` | ${description.replaceAll('|', '\\|')} | \`${byDefault}\` |\n`,
  );
  return readme.replace(TABLE, () => `| value | means | default |\n|---|---|---|\n${rows.join('')}`);
}

if (import.meta.main) {
  readArguments('usage: ./dev chart    writes the generated files of the chart', { most: 0 });
  for (const [name, text] of await chartFiles()) {
    await writeFile(join(chart, name), text);
    process.stdout.write(`charts/cloister/${name}\n`);
  }
}
