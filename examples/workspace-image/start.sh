#!/bin/sh
# workspace-start [COMMAND [ARGUMENT...]]
# Adapts the workspace to the profile that it runs under, then executes the command. In a pod under `userns` with `nesting: seccomp`, under
# gVisor and under Sysbox it changes nothing. Each change needs sudo; without sudo (grant `none`) nothing is changed.
# docs/workspace-image.md lists the error without each change.
set -eu

# In a Kata guest, virtio-fs shares the root with the node. Set WORKSPACE_GUEST to any value in a guest with another kind of root.
is_guest() { [ -n "${WORKSPACE_GUEST-}" ] || awk '$5 == "/"' /proc/self/mountinfo | grep --quiet ' - virtiofs '; }

# virtiofsd runs without extended attributes there, so files have no capabilities. newuidmap then needs the set-uid bit, which it must not
# have in a user namespace.
has_lost_file_capabilities() { capabilities=$(/usr/sbin/getcap /usr/bin/newuidmap) && [ -z "$capabilities" ]; }

# The guest's kernel refuses to mount a new /proc for a nested container while mounts lie over the /proc of the pod.
mounts_over_proc() { awk '$5 ~ "^/proc/" { print $5 }' /proc/self/mountinfo; }

# The runtime's default seccomp profile (`nesting: sysadmin`) rejects pivot_root(2). Where it is allowed, this call fails with "busy".
is_denied_pivot_root() {
  LC_ALL=C unshare --user --map-root-user --mount /usr/sbin/pivot_root / / 2>&1 | grep --quiet 'pivot_root.*Operation not permitted'
}

# A failure is ignored: the command must start in any case.
as_root() { sudo --non-interactive -- "$@" 2> /dev/null || true; }

if is_guest; then
  ! has_lost_file_capabilities || as_root chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap
  for mount in $(mounts_over_proc); do as_root umount "$mount"; done
elif is_denied_pivot_root; then
  as_root install -D --mode=0644 /opt/workspace/no-pivot-root.conf /etc/containers/containers.conf.d/no-pivot-root.conf
fi

[ $# -eq 0 ] || exec "$@"
