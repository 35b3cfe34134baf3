#!/bin/sh
# Turns a Debian with the packages listed beside this file into a workspace. docs/workspace-image.md gives the reason for each step.
set -eu
here=$(dirname -- "$0")

useradd --uid 1000 --create-home --shell /bin/bash dev
echo 'dev ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/dev
chmod 0440 /etc/sudoers.d/dev

# All ids of a pod except 0 and the user's own, so that 65534 is included.
printf '%s\n' dev:1:999 dev:1001:64535 root:1:65535 | tee /etc/subuid > /etc/subgid
for id in uid gid; do
  chmod u-s "/usr/bin/new${id}map"
  setcap "cap_set${id}+ep" "/usr/bin/new${id}map"
done

install -D --mode=0644 --target-directory=/etc/containers "$here/containers.conf" "$here/storage.conf"
install -d /var/lib/containers
install --mode=0755 "$here/start.sh" /usr/local/bin/workspace-start

rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
