#!/bin/sh
# workspace-start [COMMAND [ARGUMENT...]]
# Adapts the workspace to the place where it runs, then becomes the command. In a pod under `userns` with `nesting: seccomp`, under gVisor
# and under Sysbox it changes nothing. Each change takes sudo: without it (grant `none`) everything stays as it is.
# docs/workspace-image.md says what fails without each change.
set -eu

# A Kata guest: all ids are mapped, because the kernel is the pod's own, and file capabilities are lost, because virtiofsd runs without
# extended attributes. There newuidmap takes the set-uid bit, which it must not have in a user namespace.
has_all_ids() { awk '$1 == 0 && $2 == 0 && $3 == 4294967295 { found = 1 } END { exit !found }' /proc/self/uid_map; }
has_lost_file_capabilities() { [ -z "$(/usr/sbin/getcap /usr/bin/newuidmap)" ]; }

# The guest's kernel refuses a new /proc to a nested container while something lies over the one of the pod.
mounts_over_proc() { awk '$5 ~ "^/proc/" { print $5 }' /proc/self/mountinfo; }

# The runtime's default seccomp profile (`nesting: sysadmin`) does not have pivot_root(2). Where it is allowed, this call is "busy".
is_denied_pivot_root() {
  LC_ALL=C unshare --user --map-root-user --mount /usr/sbin/pivot_root / / 2>&1 | grep --quiet 'pivot_root.*Operation not permitted'
}

# What fails is left as it is: the command must start all the same.
as_root() { sudo --non-interactive -- "$@" 2> /dev/null || true; }

if has_all_ids && has_lost_file_capabilities; then
  as_root chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap
  for mount in $(mounts_over_proc); do as_root umount "$mount"; done
elif is_denied_pivot_root; then
  as_root install -D --mode=0644 /opt/workspace/no-pivot-root.conf /etc/containers/containers.conf.d/no-pivot-root.conf
fi

[ $# -eq 0 ] || exec "$@"
