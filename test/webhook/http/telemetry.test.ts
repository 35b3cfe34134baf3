import { describe, expect, test } from 'vitest';
import { apply } from '../../../src/apply-patch.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { makeRespond } from '../../../src/webhook/review/respond.ts';
import { exampleReview, startServer, until } from '../../support/webhook-server.ts';

const config = await loadConfig(undefined);
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date() });

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Sends reviews one after the other, and returns what was logged and counted. */
async function recorded(...reviews: readonly (readonly [path: string, body: string])[]) {
  const { send, lines, metrics, stop } = await startServer(respond);
  for (const [path, body] of reviews) await send(path, { body });
  await until(async () => sum(await metrics.expose(), 'cloister_requests_total') === reviews.length);
  await stop();
  return { text: lines.join(''), lines: lines.map((line) => JSON.parse(line) as Line), metrics: await metrics.expose() };
}

function sum(text: string, metric: string): number {
  const samples = text.matchAll(new RegExp(`^${metric}(?:{.*})? (.*)$`, 'gm'));
  return [...samples].reduce((total, [, value]) => total + Number(value), 0);
}

type Request = ReturnType<typeof JSON.parse>;

function review(change: (request: Request) => void): string {
  const parsed = JSON.parse(exampleReview);
  change(parsed.request);
  return JSON.stringify(parsed);
}

const compliant = review((request) => {
  request.object = {
    metadata: {},
    spec: {
      hostUsers: false,
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      containers: [{ name: 'a', securityContext: { allowPrivilegeEscalation: true } }],
    },
  };
});

describe('a log line', () => {
  test('a log line states what was done to which pod, and why', async () => {
    const { lines } = await recorded(['/mutate/userns', exampleReview]);
    expect(lines).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        msg: 'patched',
        uid: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0',
        namespace: 'team-a',
        name: 'workspace',
        kind: 'Pod',
        operation: 'CREATE',
        profile: 'userns',
        phase: 'mutate',
        mode: 'enforce',
        grant: 'sudo',
        outcome: 'patched',
        verdict: 'repairable',
        rules: expect.arrayContaining(['user-namespace', 'privileged']),
        ms: expect.any(Number),
      },
    ]);
  });

  test('a request whose object was changed or denied, or could not be judged, is logged at info, the rest at debug', async () => {
    const { lines } = await recorded(
      ['/mutate/userns', exampleReview],
      ['/validate/enforce/userns', exampleReview],
      ['/validate/warn/userns', '{}'],
      ['/validate/enforce/userns', compliant],
    );
    expect(lines.map(({ level, outcome }) => [level, outcome])).toEqual([
      ['info', 'patched'],
      ['info', 'denied'],
      ['info', 'failed'],
      ['debug', 'allowed'],
    ]);
  });

  test('a log line marks a dry run', async () => {
    const { lines, metrics } = await recorded(['/mutate/userns', review((request) => Object.assign(request, { dryRun: true }))]);
    expect(lines[0]?.dryRun).toBe(true);
    expect(metrics).toContain('cloister_dry_run_requests_total{phase="mutate"} 1');
  });

  test('T69: a log line contains nothing of the object', async () => {
    const canary = (name: string) => `canary-${name}`;
    const body = review((request) => {
      const { object } = request;
      request.userInfo = { username: canary('user'), groups: [canary('group')], extra: { token: [canary('extra')] } };
      request.options = { fieldManager: canary('manager') };
      object.metadata.labels = { [canary('label')]: canary('value'), 'cloister.dev/grant': canary('grant') };
      object.metadata.annotations = { [canary('annotation')]: canary('value') };
      object.spec.serviceAccountName = canary('account');
      object.spec.hostNetwork = true;
      object.spec.volumes.push({ name: canary('volume'), hostPath: { path: canary('path') } });
      for (const container of object.spec.containers) {
        container.name = canary('container');
        container.image = canary('image');
        container.command = [canary('command')];
        container.env = [{ name: canary('variable'), value: canary('secret') }];
        container.securityContext = { capabilities: { add: [canary('capability')] }, seccompProfile: { type: canary('seccomp') } };
      }
    });
    const broken = review((request) => Object.assign(request.object.spec, { containers: canary('containers') }));
    const { text, metrics, lines } = await recorded(
      ...['/mutate/userns', '/validate/enforce/userns', '/validate/warn/userns', '/validate/audit/userns', '/unknown/enforce'].flatMap(
        (path) => [[path, body] as const, [path, broken] as const],
      ),
      ['/mutate/userns', `{"kind": "canary-syntax`],
    );
    expect(lines).toHaveLength(11);
    expect(text + metrics).not.toContain('canary');
  });

  test('T68: a log line shortens foreign names, keeps them on one line and escapes them for terminals', async () => {
    const name = `a\n{"level":"error"}\u001b[2J\u009b\u202e\u2028\ud800${'x'.repeat(1_000)}`;
    const { text, lines } = await recorded(['/mutate/userns', review((request) => Object.assign(request, { name, namespace: name }))]);
    expect(lines).toHaveLength(1);
    expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\u2028]/u);
    expect(String(lines[0]?.name)).toMatch(/^a\\u\{a\}\{"level":"error"\}\\u\{1b\}\[2J\\u\{9b\}\\u\{202e\}\\u\{2028\}\\u\{d800\}x+…$/);
    expect(String(lines[0]?.name).length).toBeLessThan(300);
  });
});

describe('metrics', () => {
  test('metrics count requests, verdicts, findings and time', async () => {
    const { metrics } = await recorded(['/mutate/userns', exampleReview], ['/validate/enforce/userns', exampleReview]);
    for (const sample of [
      'cloister_requests_total{phase="mutate",mode="enforce",profile="userns",outcome="patched"} 1',
      'cloister_requests_total{phase="validate",mode="enforce",profile="userns",outcome="denied"} 1',
      'cloister_verdicts_total{mode="enforce",profile="userns",verdict="refused"} 1',
      'cloister_findings_total{rule="privileged",kind="escape"} 2',
      'cloister_request_duration_seconds_count{phase="mutate"} 1',
      'cloister_requests_in_flight 0',
      'cloister_build_info{version="0.0.0"} 1',
    ]) {
      expect(metrics).toContain(`${sample}\n`);
    }
    expect(metrics).toContain('nodejs_eventloop_lag_seconds');
  });

  test('T69: metrics have one label value for all profiles that are not configured', async () => {
    const { metrics } = await recorded(
      ...Array.from({ length: 20 }, (_, index) => [`/validate/audit/made-up-${index}`, exampleReview] as const),
      ['/unknown/enforce', exampleReview],
    );
    expect(metrics).not.toContain('made-up');
    expect(metrics).toContain('cloister_requests_total{phase="validate",mode="audit",profile="unknown",outcome="failed"} 20');
    expect(metrics).toContain('cloister_requests_total{phase="unknown",mode="enforce",profile="unknown",outcome="denied"} 1');
  });

  test('metrics start at 0, so that the first event is an increase', async () => {
    const { metrics } = await recorded();
    expect(metrics).toContain('cloister_requests_total{phase="validate",mode="enforce",profile="userns",outcome="denied"} 0');
    expect(metrics).toContain('cloister_findings_total{rule="privileged",kind="escape"} 0');
    expect(metrics).toContain('cloister_certificate_reloads_total{outcome="kept"} 0');
  });

  test('metrics count rejected requests by status', async () => {
    const { send, metrics, lines, stop } = await startServer(respond);
    await send('/nothing');
    await send('/mutate/userns', { headers: { 'content-type': 'text/plain' } });
    await stop();
    const text = await metrics.expose();
    expect(text).toContain('cloister_refused_requests_total{status="404"} 1');
    expect(text).toContain('cloister_refused_requests_total{status="415"} 1');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'debug', msg: 'request rejected', status: 404, code: 'CLOISTER_NOT_FOUND' },
      { level: 'debug', msg: 'request rejected', status: 415, code: 'CLOISTER_UNSUPPORTED_MEDIA_TYPE' },
    ]);
  });
});
