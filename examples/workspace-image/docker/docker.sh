#!/bin/sh
# docker, docker-compose: start the daemon of the workspace on first use, then execute Debian's program of the same name. Commands that need no
# daemon or name another one start none. If the daemon does not start, docker reports that too.
set -eu
case ${1-} in
  '' | -v | --version | --help | help | completion | context | login | logout) ;;
  -H* | --host* | -c | --context*) ;;
  *) [ -n "${DOCKER_HOST-}${DOCKER_CONTEXT-}" ] || workspace-dockerd || true ;;
esac
exec "/usr/bin/${0##*/}" "$@"
