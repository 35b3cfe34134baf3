#!/bin/sh
# workspace-start [COMMAND [ARGUMENT...]]
# Adapts the workspace to the place where it runs, then becomes the command. In a pod under `userns` with `nesting: seccomp`, under gVisor
# and under Sysbox it changes nothing. Each change takes sudo: without it (grant `none`) everything stays as it is.
# docs/workspace-image.md says what fails without each change.
set -eu

# A Kata guest: the root is shared with the node by virtio-fs. WORKSPACE_GUEST, set to anything, names a guest that has another root.
is_guest() { [ -n "${WORKSPACE_GUEST-}" ] || awk '$5 == "/"' /proc/self/mountinfo | grep --quiet ' - virtiofs '; }

# virtiofsd runs without extended attributes there, so that files have no capabilities. Then newuidmap takes the set-uid bit, which it must
# not have in a user namespace.
has_lost_file_capabilities() { capabilities=$(/usr/sbin/getcap /usr/bin/newuidmap) && [ -z "$capabilities" ]; }

# The guest's kernel refuses a new /proc to a nested container while something lies over the one of the pod.
mounts_over_proc() { awk '$5 ~ "^/proc/" { print $5 }' /proc/self/mountinfo; }

# The runtime's default seccomp profile (`nesting: sysadmin`) does not have pivot_root(2). Where it is allowed, this call is "busy".
is_denied_pivot_root() {
  LC_ALL=C unshare --user --map-root-user --mount /usr/sbin/pivot_root / / 2>&1 | grep --quiet 'pivot_root.*Operation not permitted'
}

# What fails is left as it is: the command must start all the same.
as_root() { sudo --non-interactive -- "$@" 2> /dev/null || true; }

if is_guest; then
  ! has_lost_file_capabilities || as_root chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap
  for mount in $(mounts_over_proc); do as_root umount "$mount"; done
elif is_denied_pivot_root; then
  as_root install -D --mode=0644 /opt/workspace/no-pivot-root.conf /etc/containers/containers.conf.d/no-pivot-root.conf
fi

[ $# -eq 0 ] || exec "$@"
