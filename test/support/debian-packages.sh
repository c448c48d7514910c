# Sourced by the install.sh of the suites.

# Installs Debian packages, as root; without arguments there is nothing to do. Fails where it can't, and names them.
install_packages() {
  (($# > 0)) || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    printf 'missing: %s\n' "$*" >&2
    return 1
  fi
  # no daemon that a package brings may start: the tests start their own
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null && return 0
  printf 'could not install: %s\n' "$*" >&2
  return 1
}
