import * as z from 'zod';
import { DNS_LABEL } from '../core/name-pattern.ts';
import { backends } from '../core/profiles/index.ts';
import { COMMON_OPTIONS } from '../core/profiles/profile.ts';
import { rules } from '../core/rules/index.ts';
import { configSchema, defaultSchema, exemptionSchema, governsSchema, MAX_GOVERNS, optionSchemas } from './schema.ts';
import { policyTestSchema } from './test-schema.ts';

/** JSON Schemas of the files that people write, for editors and for the chart. */

export type JsonSchema = Record<string, unknown> & { properties?: Record<string, JsonSchema>; description?: string };

const subdomain = z.string().regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
const profile = z.strictObject({ extends: subdomain, ...optionSchemas }).partial();
const exemptible = rules.flatMap(({ id: rule, exemptibleValues: exempts }) => (exempts === undefined ? [] : [rule]));

/** Schemas of the keys that the reader of the file checks level by level: here each key has one schema for all of its levels. */
export const configLevels = {
  profiles: z.record(z.string(), profile),
  governs: z.array(governsSchema).max(MAX_GOVERNS),
  exemptions: z.array(
    z.strictObject({
      ...exemptionSchema.shape,
      allow: z
        .strictObject(Object.fromEntries(exemptible.map((rule) => [rule, z.array(z.string().min(1)).min(1)])))
        .partial()
        .meta({ minProperties: 1 }),
    }),
  ),
};

/** @param schema if it has `profiles`, these become those of `configLevels` */
export function toJsonSchema(schema: z.ZodType): JsonSchema {
  const made = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema }) => removeIntegerLimits(jsonSchema),
  }) as JsonSchema;
  const profiles = made.properties?.profiles;
  if (profiles === undefined) return made;
  made.definitions = { profile: profiles.additionalProperties };
  Object.assign(profiles, schemaOfProfiles());
  return made;
}

/** The schemas by the names that `cloister schema` has for them. */
export const jsonSchemas: ReadonlyMap<string, () => JsonSchema> = new Map([
  ['config', () => named('config', { ...configSchema.shape, ...configLevels, default: defaultSchema }, ['apiVersion', 'kind'])],
  [
    'test',
    () =>
      named(
        'test',
        policyTestSchema.shape,
        policyTestSchema.keyof().options.filter((key) => key !== 'config'),
      ),
  ],
]);

function named(name: string, shape: z.ZodRawShape, required: readonly string[]): JsonSchema {
  const { $schema, ...schema } = toJsonSchema(z.strictObject(shape).partial());
  return { $schema, $id: `https://cloister.dev/schemas/v1alpha1/${name}.json`, ...schema, required };
}

/** Removes the limits of safe integers, which say nothing about a value. */
function removeIntegerLimits(schema: Record<string, unknown>): void {
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
}

/** A backend's own profile has the options of the backend; other profiles have those of the backend that they extend. */
function schemaOfProfiles(): JsonSchema {
  const only = (options: readonly string[]) => ({
    properties: Object.fromEntries(options.map((option) => [option, { $ref: `#/definitions/profile/properties/${option}` }])),
    additionalProperties: false,
  });
  const own = backends.map(({ id: backend, options }) => [backend, { type: ['object', 'null'], ...only([...COMMON_OPTIONS, ...options]) }]);
  const extending = backends.map(({ id: backend, options }) => ({
    if: { properties: { extends: { const: backend } } },
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word
    then: only(['extends', ...COMMON_OPTIONS, ...options]),
  }));
  return {
    propertyNames: { pattern: DNS_LABEL.source },
    properties: Object.fromEntries(own),
    additionalProperties: { allOf: [{ $ref: '#/definitions/profile' }, { required: ['extends'] }, ...extending] },
  };
}
