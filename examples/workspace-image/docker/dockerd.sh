#!/bin/sh
# workspace-dockerd: starts the Docker daemon of this workspace unless it answers, and returns as soon as it answers. Under Sysbox the daemon
# runs as root, with Docker's defaults. Otherwise it runs as the workspace user (rootless), with three scripts first in its PATH.
# docs/workspace-image.md gives the reason for each setting and each script.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin # the PATH of a login shell lacks sbin
user=dev
library=/usr/local/lib/workspace-docker
socket=/run/docker.sock
folder=/run/workspace-docker # not below /run/user: podman makes it accessible only to root when root runs podman
log=$folder/dockerd.log

# The socket exists before the daemon answers.
answers() { printf 'GET /_ping HTTP/1.0\r\n\r\n' | socat -t 5 - "UNIX-CONNECT:$socket" 2> /dev/null | grep --quiet '^OK'; }
is_sysbox() { grep --quiet ' - fuse sysboxfs ' /proc/self/mountinfo; }
has_nat() { unshare --user --map-root-user --net iptables --table nat --list > /dev/null 2>&1; }
has_tun() { (: <> /dev/net/tun) 2> /dev/null; }
fail() {
  echo "workspace-dockerd: $*" >&2
  exit 1
}

start_rootful() { exec setsid sudo --non-interactive dockerd; }

start_rootless() {
  # Programs expect the socket at a path where a rootless daemon may not listen.
  [ -L "$socket" ] || sudo --non-interactive ln -s "$folder/docker.sock" "$socket"
  PATH=$library/bin:/usr/share/docker.io/contrib:$PATH
  has_tun || PATH=$library/without-tun:$PATH
  # The runtime's default seccomp profile (`nesting: sysadmin`) rejects keyctl(2) and pivot_root(2).
  [ ! -e /etc/containers/containers.conf.d/no-pivot-root.conf ] || export WORKSPACE_RUNC_FLAGS='--no-new-keyring --no-pivot'
  export PATH XDG_RUNTIME_DIR="$folder"
  export DOCKERD_ROOTLESS_ROOTLESSKIT_NET=slirp4netns DOCKERD_ROOTLESS_ROOTLESSKIT_MTU=65520
  # Both need root of the pod's user namespace.
  export DOCKERD_ROOTLESS_ROOTLESSKIT_SLIRP4NETNS_SANDBOX=false DOCKERD_ROOTLESS_ROOTLESSKIT_SLIRP4NETNS_SECCOMP=false
  # The root of the image is usually an overlay; only the volume of the pod can hold another.
  exec setsid dockerd-rootless.sh --data-root /var/lib/containers/docker-1000 $without_nat
}

! answers || exit 0
if [ "$(id -u)" = 0 ]; then exec runuser --login "$user" --command "$0"; fi
[ "$(id -un)" = "$user" ] || fail "the Docker daemon runs as $user, and this is $(id -un) ($(id -u)); start the pod as the image's user"

workspace-start # has run already if the platform kept the image's entry point

# If two callers run at once, the second waits and finds the daemon running.
[ -w "$folder" ] || sudo --non-interactive install -d --mode=0700 --owner="$user" --group="$user" "$folder"
exec 9> "$folder/dockerd.lock"
flock 9
! answers || exit 0
without_nat=
if ! is_sysbox && ! has_nat; then
  # gVisor has no nftables, and its /proc/sys/net is read-only.
  without_nat='--iptables=false --ip6tables=false --ip-forward=false'
  echo 'workspace-dockerd: there is no NAT here: containers reach each other by address and the workspace, and nothing else' >&2
fi
if is_sysbox; then start_rootful; else start_rootless; fi > "$log" 2>&1 < /dev/null 9>&- &
started=$!
for _ in $(seq 1200); do
  ! answers || exit 0
  [ -e "/proc/$started" ] || break # not kill -0: the user may not signal a process of root
  sleep 0.1
done
kill "$started" 2> /dev/null || sudo --non-interactive kill "$started" 2> /dev/null || true
fail "the Docker daemon did not start; its log, $log, ends with:
$(grep --invert-match '^+' "$log" | tail --lines=5)"
