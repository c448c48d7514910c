#!/usr/bin/env bash
# Installs what the suite runs: promtool (as root, where it is missing) and a Python environment beside this script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

missing=()
command -v promtool >/dev/null || missing+=(prometheus)
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
if ((${#missing[@]} > 0)); then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # no daemon that a package brings may start
    if [ ! -e /usr/sbin/policy-rc.d ]; then
      trap 'rm -f /usr/sbin/policy-rc.d' EXIT
      printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
      chmod +x /usr/sbin/policy-rc.d
    fi
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; } ||
      printf 'could not install %s\n' "${missing[*]}" >&2
  else
    printf 'missing: %s\n' "${missing[*]}" >&2
  fi
fi

# only wheels: nothing is compiled here; what makes the requests is pinned, for the same seed is to make the same ones
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
  schemathesis==4.32.5 hypothesis==6.170.15 openapi-spec-validator==0.9.0
