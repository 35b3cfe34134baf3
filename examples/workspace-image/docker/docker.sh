#!/bin/sh
# docker, docker-compose: start the workspace's daemon on first use, then become Debian's program of that name.
set -eu
case ${1-} in
  '' | -v | --version | --help | help | completion) ;;
  *) [ -n "${DOCKER_HOST-}${DOCKER_CONTEXT-}" ] || workspace-dockerd ;;
esac
exec "/usr/bin/${0##*/}" "$@"
