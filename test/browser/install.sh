#!/usr/bin/env bash
# Installs what the suite runs: Debian's Chromium, as root, where it is missing.
set -euo pipefail

[ -n "${CHROMIUM:-}" ] || command -v /usr/bin/chromium >/dev/null || {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    printf '/usr/bin/chromium is missing; CHROMIUM=PATH names another one\n' >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends chromium >/dev/null
}
