#!/bin/sh
# Makes a workspace of a Debian that has the packages beside this file. docs/workspace-image.md says why each step is there.
set -eu
here=$(dirname -- "$0")

useradd --uid 1000 --create-home --shell /bin/bash dev
echo 'dev ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/dev
chmod 0440 /etc/sudoers.d/dev

printf '%s\n' dev:1:999 dev:1001:64535 root:1:65535 | tee /etc/subuid > /etc/subgid

for id in u g; do
  chmod u-s "/usr/bin/new${id}idmap"
  setcap "cap_set${id}id+ep" "/usr/bin/new${id}idmap"
done

install -D -m 0644 "$here/containers.conf" "$here/storage.conf" -t /etc/containers
install -d -m 0755 /var/lib/containers
install -d -o dev -g dev /home/dev/.local /home/dev/.local/share /home/dev/.local/share/containers
