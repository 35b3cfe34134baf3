#!/bin/sh
# workspace-dockerd: starts the Docker daemon of this workspace unless it answers, and returns as soon as it does. Under Sysbox it is root's,
# with Docker's defaults. Everywhere else it is the workspace user's (rootless), with three scripts ahead in its PATH.
# docs/workspace-image.md says what each setting and each script is for.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin # a login shell's lacks sbin
user=dev
library=/usr/local/lib/workspace-docker
socket=/run/docker.sock
folder=/run/workspace-docker # not below /run/user, which podman makes root's alone when root runs it
log=$folder/dockerd.log

# The socket is there before the daemon answers.
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
  # Programs look for the daemon where a rootless one may not listen.
  [ -L "$socket" ] || sudo --non-interactive ln -s "$folder/docker.sock" "$socket"
  PATH=$library/bin:/usr/share/docker.io/contrib:$PATH
  has_tun || PATH=$library/without-tun:$PATH
  # Neither keyctl(2) nor pivot_root(2) is in the runtime's default seccomp profile (`nesting: sysadmin`).
  [ ! -e /etc/containers/containers.conf.d/no-pivot-root.conf ] || export WORKSPACE_RUNC_FLAGS='--no-new-keyring --no-pivot'
  export PATH XDG_RUNTIME_DIR="$folder"
  export DOCKERD_ROOTLESS_ROOTLESSKIT_NET=slirp4netns DOCKERD_ROOTLESS_ROOTLESSKIT_MTU=65520
  # Both take root of the pod's user namespace.
  export DOCKERD_ROOTLESS_ROOTLESSKIT_SLIRP4NETNS_SANDBOX=false DOCKERD_ROOTLESS_ROOTLESSKIT_SLIRP4NETNS_SECCOMP=false
  # Where the image's root is an overlay, only the volume of the pod carries another.
  exec setsid dockerd-rootless.sh --data-root /var/lib/containers/docker-1000 $without_nat
}

! answers || exit 0
if [ "$(id -u)" = 0 ]; then exec runuser --login "$user" --command "$0"; fi
[ "$(id -un)" = "$user" ] || fail "the Docker daemon runs as $user, and this is $(id -un) ($(id -u)); start the pod as the image's user"

workspace-start # has run already where the platform left the image's entry point alone

# Of two callers at once, the second one waits and finds the daemon started.
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
  [ -e "/proc/$started" ] || break # it may be a process of root, which this user may not signal
  sleep 0.1
done
kill "$started" 2> /dev/null || sudo --non-interactive kill "$started" 2> /dev/null || true
fail "the Docker daemon did not start; its log, $log, ends with:
$(grep --invert-match '^+' "$log" | tail --lines=5)"
