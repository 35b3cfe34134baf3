import { windows } from '../../src/core/rules/windows.ts';
import { inEachList, testRule } from '../support/test-rule.ts';

testRule(windows, {
  passes: {
    'the field is absent': { containers: [{ name: 'main' }] },
    linux: { os: { name: 'linux' } },
    'an empty name of a system, which the API server rejects': { os: { name: '' } },
    'what an added container takes over from options that have no effect': {
      old: { securityContext: { windowsOptions: {} } },
      pod: { securityContext: { windowsOptions: {} }, ephemeralContainers: [{ name: 'debug' }] },
    },
    null: {
      os: { name: null },
      securityContext: { windowsOptions: null },
      containers: [{ name: 'main', securityContext: { windowsOptions: null } }],
    },
  },
  fails: {
    'a Windows pod': { pod: { os: { name: 'windows' } }, finds: ['spec.os.name'], fixed: 'nothing' },
    'an unknown system': { profile: 'kata-qemu', pod: { os: { name: 'Linux' } }, finds: ['spec.os.name'], fixed: 'nothing' },
    'a pod that is its host': {
      pod: { hostNetwork: true, securityContext: { windowsOptions: { hostProcess: true } }, containers: [{ name: 'main' }] },
      says: ['the container is a Windows host process'],
      finds: ['spec.securityContext.windowsOptions'],
      fixed: 'nothing',
    },
    ...inEachList(
      'a container that is its host',
      { securityContext: { windowsOptions: { hostProcess: true, runAsUserName: 'NT AUTHORITY\\SYSTEM' } } },
      {
        finds: ['securityContext.windowsOptions'],
        fixed: 'nothing',
      },
    ),
    'what an added container takes over from a pod that was there, once for the pod': {
      old: { securityContext: { windowsOptions: { runAsUserName: 'x' } } },
      pod: { securityContext: { windowsOptions: { runAsUserName: 'x' } }, ephemeralContainers: [{ name: 'debug' }] },
      finds: ['spec.securityContext.windowsOptions'],
      fixed: 'nothing',
    },
    'credentials of a Windows domain': {
      pod: { securityContext: { windowsOptions: { gmsaCredentialSpecName: 'x' } } },
      says: ['windowsOptions are set'],
      finds: ['spec.securityContext.windowsOptions'],
      fixed: 'nothing',
    },
    'options that have no effect, as charts write them with all their defaults': {
      pod: {
        securityContext: { windowsOptions: {} },
        containers: [
          { name: 'main', securityContext: { windowsOptions: { hostProcess: false, runAsUserName: '', gmsaCredentialSpec: null } } },
        ],
      },
      says: ['windowsOptions have no effect', 'windowsOptions have no effect'],
      promises: ['spec.securityContext.windowsOptions', 'spec.containers[0].securityContext.windowsOptions'],
      fixed: { securityContext: {}, containers: [{ name: 'main', securityContext: {} }] },
    },
    'an option with a value beside one without': {
      pod: { securityContext: { windowsOptions: { hostProcess: false, runAsUserName: 'x' } } },
      finds: ['spec.securityContext.windowsOptions'],
      fixed: 'nothing',
    },
    'an operator cannot exempt it': {
      exempt: { windows: ['windows', 'hostProcess'] },
      pod: { os: { name: 'windows' } },
      finds: ['spec.os.name'],
      fixed: 'nothing',
    },
  },
});
