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

/** A container in which a node of a cluster is recognised, for which there is no rootless Docker. */
const startsNode = (program: string, at: string, container: Sketch): Failing => ({
  ...starts(program, at, container),
  advises: ['use a profile of sysbox with the grant containers'],
});

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
    'the image of Docker, with another command and another argument': {
      containers: [
        { name: 'a', ...DIND, command: ['sleep', 'infinity'] },
        { name: 'b', ...DIND, args: ['sh', '-c', 'docker version'] },
      ],
    },
    'commands that only name a daemon': {
      containers: [
        ['pgrep', 'dockerd'],
        ['systemctl', 'status', 'kubelet'],
        ['chown', '-R', '0', '/var/lib/containerd'],
        ['k3s', 'kubectl', 'get', 'pods'],
        ['sh', '-c', '# dockerd runs elsewhere; dockerd\nuntil docker info; do sleep 1; done'],
        ['sh', '-c', 'sleep 1 # not this: (dockerd)'],
        ['sh', '-c', 'if pgrep dockerd; then echo "stop dockerd first"; fi'],
        ['sh', '-c', 'service docker status || systemctl stop docker'],
      ].map((command, index) => ({ name: `c${index}`, command })),
    },
    'a client of the image of K3s': one({ image: 'rancher/k3s:v1.35.4-k3s1', args: ['kubectl', 'get', 'nodes'] }),
    'an image whose name only begins like one': one({ image: 'kindest/node-exporter:1' }),
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
    "Docker's image, with an option for its daemon": starts('dockerd', 'image', { ...DIND, args: ['--host=unix:///x'] }),
    "BuildKit's image": starts('buildkitd', 'image', { image: 'docker.io/moby/buildkit' }),
    'a daemon by its command': starts('dockerd', 'command[0]', { image: 'mine', command: ['/usr/bin/dockerd', '--tls=false'] }),
    'a daemon behind another program': starts('dockerd', 'command[2]', { image: 'mine', command: ['tini', '--', 'dockerd'] }),
    'a daemon as an argument of an image': starts('dockerd', 'args[0]', { image: 'docker:28', args: ['dockerd', '--host=unix:///x'] }),
    'a daemon in a script': starts('dockerd', 'command[2]', { image: 'mine', command: ['sh', '-c', 'sudo dockerd & wait'] }),
    'a daemon in a script, behind a comment, a condition and a variable': starts('dockerd', 'args[0]', {
      image: 'mine',
      command: ['/bin/bash', '-c', '--'],
      args: ['# first\nif true; then DOCKER_RAMDISK=1 exec "/usr/bin/dockerd" --debug; fi'],
    }),
    'a daemon in a script, before a comment': starts('dockerd', 'command[2]', { command: ['sh', '-c', 'dockerd # as root\nwait'] }),
    'a daemon in a script, behind a word with a number sign': starts('dockerd', 'command[2]', {
      command: ['sh', '-c', 'echo job#7; dockerd'],
    }),
    'a daemon as a service': starts('dockerd', 'command[2]', { command: ['sh', '-c', 'sudo service docker start && sleep infinity'] }),
    'a daemon as a unit': starts('dockerd', 'command[2]', { command: ['sh', '-c', 'systemctl start docker.service'] }),
    'a daemon behind a script of its image': starts('dockerd', 'command[1]', { command: ['/entrypoint.sh', 'dockerd'] }),
    'a daemon in a script, behind another script': starts('dockerd', 'command[2]', { command: ['sh', '-c', '/set-up.sh && dockerd'] }),
    'a daemon in a script, before another script': starts('dockerd', 'command[2]', { command: ['sh', '-c', 'dockerd & /work.sh'] }),
    containerd: starts('containerd', 'command[0]', { command: ['/usr/local/bin/containerd', '--log-level=warn'] }),
    'the image of K3s': startsNode('k3s', 'image', { image: 'docker.io/rancher/k3s:v1.35.4-k3s1', args: ['server', '--disable=traefik'] }),
    'the image of K3s, without an argument': startsNode('k3s', 'image', { image: 'rancher/k3s' }),
    'the image of kind': startsNode('kubelet', 'image', { image: 'kindest/node:v1.35.0@sha256:00' }),
    'the image of kind, whose entry point starts the node whatever its argument is': startsNode('kubelet', 'image', {
      image: 'kindest/node:v1.35.0',
      args: ['/sbin/init'],
    }),
    'a server of K3s by its command': startsNode('k3s', 'command[0]', { command: ['/bin/k3s', 'server'] }),
    'a worker of k0s in a script': startsNode('k0s', 'command[2]', { command: ['sh', '-c', 'exec k0s worker --token-file /t'] }),
    'a server of RKE2 under sysbox, with less than the grant': {
      profile: 'sysbox',
      pod: one({ command: ['rke2', 'server'] }),
      promises: ['spec.containers[0].command[0]'],
      says: ['the container starts rke2 as root, which needs the grant containers'],
      advises: ['ask for the grant containers'],
      fixed: 'nothing',
    },
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
