#!/bin/sh
# docker, docker-compose: start the workspace's daemon on first use, then become Debian's program of that name. What needs no daemon, or names
# another one, starts none. Where the daemon does not start, docker says so too.
set -eu
case ${1-} in
  '' | -v | --version | --help | help | completion | context | login | logout) ;;
  -H* | --host* | -c | --context*) ;;
  *) [ -n "${DOCKER_HOST-}${DOCKER_CONTEXT-}" ] || workspace-dockerd || true ;;
esac
exec "/usr/bin/${0##*/}" "$@"
