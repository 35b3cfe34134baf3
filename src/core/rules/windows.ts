import { allOf, type Cel, holdsFor, maybe, not, quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { effectiveOf, specOf, type WindowsOptions } from '../pod.ts';
import { REMOVE, type Reporter, type Rule } from './rule.ts';

/**
 * No profile isolates Windows pods, and a host process container is an administrator of its Windows node.
 *
 * Fields: spec.os.name, windowsOptions of the pod's and of each container's securityContext
 * Allowed: absent; os.name linux
 * Fix: drop windowsOptions that have no effect, which charts write with all their defaults: the API server rejects them where `os` is linux. None for
 * others.
 * Source: https://kubernetes.io/docs/tasks/configure-pod-container/create-hostprocess-pod/
 */
export const windows: Rule = {
  id: 'windows',
  summary: 'The pod is a Linux pod.',
  fields: ['spec.os.name', 'spec.securityContext.windowsOptions', 'spec.containers[*].securityContext.windowsOptions'],
  checkPod(pod, report) {
    const spec = specOf(pod);
    // The API server itself rejects an empty name.
    if (spec.os?.name && spec.os.name !== 'linux') {
      report({
        path: ['spec', 'os', 'name'],
        message: `the pod is for ${excerptOf(spec.os.name)}`,
        remedy: 'run it in a namespace without this profile',
      });
    }
    checkOptions(spec.securityContext?.windowsOptions, ['spec', 'securityContext', 'windowsOptions'], report);
  },
  checkContainer(container, report) {
    const options = effectiveOf(container, 'windowsOptions');
    const isOwn = container.spec.securityContext?.windowsOptions != null;
    // Options that have no effect are not inherited.
    if (isOwn || saysSomething(options)) checkOptions(options, ['securityContext', 'windowsOptions'], report);
  },
  inTree: {
    pod({ spec, securityContext }) {
      const system = textAt(spec, 'os.name');
      return [
        {
          where: `!(${system} in ['', 'linux'])`,
          says: text`the pod is for ${system}`,
          remedy: quote('run it in a namespace without this profile'),
        },
        { where: saysSomethingCel(maybe(securityContext, 'windowsOptions')), ...OPTIONS_CEL },
      ];
    },
    container({ securityContext, isEphemeral }) {
      const own = maybe('c', 'securityContext.windowsOptions');
      const effective = `(${isEphemeral} ? ${own}.or(${maybe(securityContext, 'windowsOptions')}) : ${own})`;
      return [{ where: saysSomethingCel(effective), ...OPTIONS_CEL }];
    },
  },
  inTreeFixes: {
    pod: ({ securityContext }) => [
      { path: 'spec.securityContext.windowsOptions', where: isWithoutEffectCel(maybe(securityContext, 'windowsOptions')), remove: true },
    ],
    container: () => [
      { path: 'securityContext.windowsOptions', where: isWithoutEffectCel(maybe('c', 'securityContext.windowsOptions')), remove: true },
    ],
  },
};

function checkOptions(options: WindowsOptions | null | undefined, path: string[], report: Reporter): void {
  if (options == null) return;
  if (!saysSomething(options)) {
    report({ path, message: 'windowsOptions have no effect', fix: REMOVE, kind: 'promise' });
    return;
  }
  const message = options.hostProcess === true ? 'the container is a Windows host process' : 'windowsOptions are set';
  report({ path, message, remedy: 'remove windowsOptions' });
}

/** Whether some option has a value: not null, false or empty. */
const saysSomething = (options: object | null | undefined): boolean => Object.values(options ?? {}).some(Boolean);

/** @param optional windowsOptions or none */
const saysSomethingCel = (optional: Cel): Cel => holdsFor(optional, 'w', "dyn(w).exists(k, dyn(w)[k] != false && dyn(w)[k] != '')");

const OPTIONS_CEL = { says: quote('windowsOptions are set'), remedy: quote('remove windowsOptions') };

/** Whether there are options, and none says something. */
const isWithoutEffectCel = (optional: Cel): Cel => allOf(`${optional}.hasValue()`, not(saysSomethingCel(optional)));
