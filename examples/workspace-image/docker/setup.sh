#!/bin/sh
# Adds Docker to a workspace that has the packages listed beside this file. docs/workspace-image.md gives the reason for each step.
set -eu
here=$(dirname -- "$0")

install --mode=0755 "$here/dockerd.sh" /usr/local/bin/workspace-dockerd
install --mode=0755 "$here/docker.sh" /usr/local/bin/docker
ln -s docker /usr/local/bin/docker-compose
for folder in bin without-tun; do
  install -D --mode=0755 --target-directory="/usr/local/lib/workspace-docker/$folder" "$here/$folder"/*
done

usermod --append --groups docker dev # under Sysbox the daemon runs as root, and this group owns its socket

rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
