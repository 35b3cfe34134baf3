import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { apply } from '../../src/apply-patch.ts';
import { makeRespond, type Respond } from '../../src/webhook/review/respond.ts';
import { bytesOf, configOf, type Doc, hostilePod, malformed, NOW, paint, reviewOf, setting } from '../support/hostile-pods.ts';
import { list, map } from '../support/oracle.ts';
import { check } from '../support/properties.ts';

const MAX_ANSWER_BYTES = 256 * 1024;
/** What the API server waits for an enforcing entry, by default. */
const MAX_ANSWER_MS = 10_000;
const FIXTURES = new URL('../fixtures/reviews/', import.meta.url);
const reviews = readdirSync(FIXTURES).map((file) => ({ file, bytes: readFileSync(new URL(file, FIXTURES)) }));

const path = fc.oneof(
  fc.constantFrom('/mutate/own', '/validate/enforce/own', '/validate/warn/own', '/validate/audit/own', '/advise/warn/own'),
  fc.constantFrom(
    '/advise/enforce/own',
    '/unknown/enforce',
    '/unknown/warn',
    '/unknown/audit',
    '/mutate/constructor',
    '/validate/enforce/unknown',
  ),
);
const shape = fc.record({
  operation: fc.oneof({ arbitrary: fc.constantFrom('CREATE', 'UPDATE'), weight: 5 }, fc.constantFrom('DELETE', 'CONNECT', '', '__proto__')),
  subresource: fc.constantFrom(undefined, undefined, undefined, 'ephemeralcontainers', 'resize', 'status', 'exec', 'constructor'),
  username: fc.constantFrom('tenant', 'system:node:control-plane-0'),
});

test('T42, T61: every pod, well-formed or nearly so, gets one well-formed answer, and the same one again', () => {
  const object = fc.oneof({ arbitrary: malformed, weight: 3 }, hostilePod);
  check(0.14, fc.tuple(path, object, fc.option(object), shape, setting), ([where, pod, old, review, given]) => {
    checkAnswer(respondFor(given), where, bytesOf(reviewOf(pod, { ...review, old })));
  });
});

test('every malformed review gets one well-formed answer', () => {
  const names = [
    'uid',
    'kind',
    'resource',
    'operation',
    'subResource',
    'namespace',
    'name',
    'userInfo',
    'dryRun',
    'object',
    'oldObject',
    '__proto__',
  ];
  const values = fc.constantFrom<unknown>(
    ...[null, 1, '', 'x', [], {}, true, { group: 1 }, { group: 'apps', kind: 'Deployment' }, '\u202e\u0000'],
  );
  const faults = fc.array(fc.tuple(fc.constantFrom(...names), values), { minLength: 1, maxLength: 3 });
  check(0.05, fc.tuple(path, hostilePod, faults, setting), ([where, pod, all, given]) => {
    const review = all.reduce((each, [name, value]) => paint(each, { at: ['request', name], value }), reviewOf(pod));
    checkAnswer(respondFor(given), where, bytesOf(review));
  });
});

test('T43: any bytes get one well-formed answer', () => {
  check(0.02, fc.tuple(path, fc.uint8Array({ maxLength: 200 }), setting), ([where, bytes, given]) => {
    checkAnswer(respondFor(given), where, bytes);
  });
});

describe.each(reviews)('the recorded review $file', ({ bytes }) => {
  test('the review broken at any byte gets one well-formed answer', () => {
    const edit = fc.record({ at: fc.nat(bytes.length - 1), cut: fc.nat(40), put: fc.oneof(fc.uint8Array({ maxLength: 4 }), token) });
    check(0.02, fc.tuple(path, fc.array(edit, { minLength: 1, maxLength: 4 }), setting), ([where, edits, given]) => {
      const broken = edits.reduce((each, { at, cut, put }) => Buffer.concat([each.subarray(0, at), put, each.subarray(at + cut)]), bytes);
      checkAnswer(respondFor(given), where, broken);
    });
  });
});

/** Bytes with a meaning in JSON, so that some of the broken reviews can still be read. */
const token = fc
  .constantFrom('null', '{}', '[]', '""', ',', ':', '"', '\\', '\\u0000', '\\ud800', '1e400', '-0', 'true', '\ufeff', '"__proto__":')
  .map((each) => Buffer.from(each));

describe('nesting', () => {
  const depth = 10_000;
  const nested = `${'{"a":['.repeat(depth)}1${']}'.repeat(depth)}`;
  const places: Readonly<Record<string, readonly (string | number)[]>> = {
    'an unknown field of the pod': ['future'],
    'an unknown field of its spec': ['spec', 'future'],
    'an unknown field of a security context': ['spec', 'containers', 0, 'securityContext', 'future'],
    'managed fields': ['metadata', 'managedFields'],
    'a map of texts': ['metadata', 'annotations', 'deep'],
    'the source of a volume': ['spec', 'volumes'],
    'a container': ['spec', 'containers', 0],
  };
  test.each(Object.entries(places))('T44: 10,000 nested levels in %s cause no crash', (_, at) => {
    const pod: Doc = {
      metadata: { name: 'deep', annotations: {} },
      spec: { containers: [{ name: 'dev', securityContext: { privileged: true } }] },
    };
    const body = JSON.stringify(reviewOf(paint(pod, { at, value: '@here@' }))).replace('"@here@"', nested);
    const respond = respondFor({ backend: 'userns', grant: 'containers' });
    for (const where of ['/mutate/own', '/validate/enforce/own', '/validate/audit/own']) checkAnswer(respond, where, Buffer.from(body));
  });
});

test('T22, T50: a pod with ten thousand findings of one kind gets a short answer before the API server gives up', () => {
  const many = Array.from({ length: 10_000 }, (_, index) => index);
  const bad: Readonly<Record<string, Doc>> = {
    volumes: { volumes: many.map((index) => ({ name: `v${index}`, hostPath: { path: `/${index}` } })) },
    containers: { containers: many.map((index) => ({ name: `c${index}`, securityContext: { windowsOptions: { hostProcess: true } } })) },
    'plain containers': { nodeName: 'node', containers: many.map((index) => ({ name: `c${index}` })) },
    'resource claims': { resourceClaims: many.map((index) => ({ name: `r${index}` })) },
    groups: { securityContext: { supplementalGroups: many.map((index) => 65536 + index) } },
    fields: { securityContext: Object.fromEntries(many.map((index) => [`field${index}`, {}])) },
  };
  const respond = respondFor({ backend: 'userns', grant: 'containers' });
  for (const [what, spec] of Object.entries(bad)) {
    for (const where of ['/mutate/own', '/validate/enforce/own', '/validate/warn/own', '/validate/audit/own']) {
      const bytes = bytesOf(reviewOf({ spec }));
      const start = performance.now();
      const { body } = respond(where, bytes);
      expect(performance.now() - start, `${what} at ${where}`).toBeLessThan(MAX_ANSWER_MS);
      expect(Buffer.byteLength(body), `${what} at ${where}`).toBeLessThan(MAX_ANSWER_BYTES);
    }
  }
});

function respondFor(given: Parameters<typeof configOf>[0]): Respond {
  return makeRespond(configOf(given), { apply, now: () => NOW });
}

/** A response that the API server understands, with the uid of the request, or a plain 400 if no uid can be read. */
function checkAnswer(respond: Respond, where: string, bytes: Uint8Array): void {
  const { status, body, bytes: length } = respond(where, bytes);
  expect(respond(where, bytes).body).toBe(body);
  expect(length).toBe(Buffer.byteLength(body));
  const answer: unknown = JSON.parse(body);
  if (status === 400) {
    expect(typeof map(answer).error).toBe('string');
    return;
  }
  expect(status).toBe(200);
  expect(Buffer.byteLength(body)).toBeLessThan(MAX_ANSWER_BYTES);
  const { uid, allowed, patch, patchType, warnings, auditAnnotations, status: denial } = map(map(answer).response);
  expectAsked(uid, where, Buffer.from(bytes).toString());
  expect(typeof allowed).toBe('boolean');
  expect(patchType).toBe(patch === undefined ? undefined : 'JSONPatch');
  if (patch !== undefined) expect(list(JSON.parse(Buffer.from(String(patch), 'base64').toString())).length).toBeGreaterThan(0);
  expect(denial === undefined).toBe(allowed === true);

  const { message, details } = map(denial);
  const causes = list(map(details).causes).flatMap((each) => [map(each).message, map(each).field]);
  const texts = [...list(warnings), ...Object.values(map(auditAnnotations)), ...causes, ...String(message ?? '').split('\n')];
  for (const text of texts) expect(String(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
}

/** Mutating does not read managedFields, so it may answer where these alone are broken. */
function expectAsked(uid: unknown, where: string, text: string): void {
  try {
    expect(uid).toBe(map(map(JSON.parse(text)).request).uid);
  } catch (error) {
    if (!(error instanceof SyntaxError) || !where.startsWith('/mutate/')) throw error;
    expect(text).toContain(`"uid":${JSON.stringify(uid)}`);
  }
}
