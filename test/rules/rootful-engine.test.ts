import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { rootfulEngine } from '../../src/core/rules/rootful-engine.ts';
import { type Failing, type Sketch, testRule } from '../support/test-rule.ts';

const one = (container: Sketch): Sketch => ({ containers: [{ name: 'engine', ...container }] });
const DIND = { image: 'docker:28-dind' };
const OTHER = 'use rootless Docker, which the workspace image has, or a profile of sysbox with the grant containers';

/** A container in which the daemon is recognised. */
function starts(program: string, at: string, container: Sketch): Failing {
  return {
    grant: 'containers',
    pod: one(container),
    promises: [`spec.containers[0].${at}`],
    says: [`the container starts ${program} as root, which will not work under this profile`],
    advises: [OTHER],
    fixed: 'nothing',
  };
}

testRule(rootfulEngine, {
  passes: {
    'no engine': one({ image: 'registry.example.com/workspace:1', command: ['sleep', 'infinity'] }),
    'Docker without a daemon': one({ image: 'docker:28-cli' }),
    'a client of the image of BuildKit': one({ image: 'moby/buildkit:v0.20', command: ['buildctl', 'build'] }),
    'rootless images': {
      containers: ['docker:28-dind-rootless', 'moby/buildkit:rootless'].map((image, index) => ({ name: `c${index}`, image })),
    },
    'a rootless daemon': one({ command: ['dockerd-rootless.sh'] }),
    'a path and an option that only name the daemon': one({ command: ['cat', '/etc/dockerd.json'], args: ['--root=/var/lib/dockerd'] }),
    null: one({ image: null, command: null, args: null }),
    'sysbox with the grant': { profile: 'sysbox', grant: 'containers', pod: one(DIND) },
    'sysbox with the grant, in a native sidecar': {
      profile: 'sysbox',
      grant: 'containers',
      pod: { initContainers: [{ name: 'dind', restartPolicy: 'Always', ...DIND }] },
    },
    'kata with the grant': { profile: 'kata-clh', grant: 'containers', pod: one(DIND) },
  },
  fails: {
    "Docker's image": starts('dockerd', 'image', DIND),
    "Docker's image, of another registry and by digest": starts('dockerd', 'image', {
      image: 'registry.example.com/library/docker:dind@sha256:00',
    }),
    "BuildKit's image": starts('buildkitd', 'image', { image: 'docker.io/moby/buildkit' }),
    'a daemon by its command': starts('dockerd', 'command[0]', { image: 'mine', command: ['/usr/bin/dockerd', '--tls=false'] }),
    'a daemon behind another program': starts('dockerd', 'command[2]', { image: 'mine', command: ['tini', '--', 'dockerd'] }),
    'a daemon as an argument of an image': starts('dockerd', 'args[0]', { image: 'docker:28', args: ['dockerd', '--host=unix:///x'] }),
    'a daemon in a script': starts('dockerd', 'command[2]', { image: 'mine', command: ['sh', '-c', 'sudo dockerd & wait'] }),
    'a build without a daemon of its own': starts('buildctl-daemonless.sh', 'command[0]', {
      image: 'moby/buildkit:master',
      command: ['buildctl-daemonless.sh'],
    }),
    'under gvisor': { ...starts('dockerd', 'image', DIND), profile: 'gvisor' },
    'under sysbox, with less than the grant': {
      profile: 'sysbox',
      pod: one(DIND),
      promises: ['spec.containers[0].image'],
      says: ['the container starts dockerd as root, which needs the grant containers'],
      advises: ['ask for the grant containers, or use rootless Docker, which the workspace image has'],
      fixed: 'nothing',
    },
    'under sysbox, in containers without the grant': {
      profile: 'sysbox',
      grant: 'containers',
      pod: {
        initContainers: [{ name: 'ends', ...DIND }],
        containers: [{ name: 'strict', ...DIND, securityContext: { allowPrivilegeEscalation: false } }],
      },
      promises: ['spec.initContainers[0].image', 'spec.containers[0].image'],
      advises: [
        'make it a regular container, or a native sidecar',
        'the container gets no grant, because it restricts itself: remove its restrictions',
      ],
      fixed: 'nothing',
    },
    'under sysbox, in a native sidecar that grantTo does not name': {
      profile: 'sysbox',
      grant: 'containers',
      options: { grantTo: [makeNamePattern('runner')] },
      pod: { initContainers: [{ name: 'dind', restartPolicy: 'Always', ...DIND }], containers: [{ name: 'runner' }] },
      promises: ['spec.initContainers[0].image'],
      advises: ['the container gets no grant, because grantTo does not match its name: ask the operator to add its name to grantTo'],
      fixed: 'nothing',
    },
  },
});
