import { anyOf, quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import type { CelFix } from '../in-tree.ts';
import type { Handler } from '../pod.ts';
import { REMOVE, type Reporter, type Rule } from './rule.ts';

/**
 * The kubelet executes probes and lifecycle hooks from the node's network: a host in them makes the node call an address of the author's
 * choice.
 *
 * Fields: httpGet.host and tcpSocket.host of livenessProbe, readinessProbe, startupProbe, lifecycle.postStart, lifecycle.preStop
 * Allowed: absent or empty, which means the pod itself
 * Fix: drop it.
 * Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline (since 1.34)
 */
export const probeHosts: Rule = {
  id: 'probe-hosts',
  summary: 'Probes and lifecycle hooks call the pod itself.',
  fields: ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle.postStart', 'lifecycle.preStop'].flatMap((handler) => [
    `spec.containers[*].${handler}.httpGet.host`,
    `spec.containers[*].${handler}.tcpSocket.host`,
  ]),
  checkContainer({ spec }, report) {
    for (const probe of PROBES) if (spec[probe] != null) checkHandler(spec[probe], [probe], report);
    if (spec.lifecycle == null) return;
    for (const hook of HOOKS) if (spec.lifecycle[hook] != null) checkHandler(spec.lifecycle[hook], ['lifecycle', hook], report);
  },
  inTree: {
    container: () =>
      [...PROBES, ...HOOKS.map((hook) => `lifecycle.${hook}`)].map((handler) => {
        const [http, tcp] = ACTIONS.map((action) => textAt('c', `${handler}.${action}.host`)) as [string, string];
        return {
          where: anyOf(`${http} != ''`, `${tcp} != ''`),
          says: text`${quote(handler)} calls host ${`${http} + ${tcp}`}`,
          remedy: quote('remove it'),
        };
      }),
  },
  inTreeFixes: {
    container: () =>
      [...PROBES, ...HOOKS.map((hook) => `lifecycle.${hook}`)].flatMap((handler) =>
        ACTIONS.map((action): CelFix => {
          const path = `${handler}.${action}.host`;
          return { path, where: `${textAt('c', path)} != ''`, remove: true };
        }),
      ),
  },
};

const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;
const HOOKS = ['postStart', 'preStop'] as const;
const ACTIONS = ['httpGet', 'tcpSocket'] as const;

function checkHandler(handler: Handler, path: string[], report: Reporter): void {
  for (const action of ACTIONS) {
    const host = handler[action]?.host;
    if (host) report({ path: [...path, action, 'host'], message: `${path.at(-1)} calls host ${excerptOf(host)}`, fix: REMOVE });
  }
}
