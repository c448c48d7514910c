#!/usr/bin/env bash
# Installs what the suite runs: promtool (as root, where it is missing) and a Python environment beside this script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ../support/debian-packages.sh

missing=()
command -v promtool >/dev/null || missing+=(prometheus)
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
install_packages "${missing[@]}" || true

# only wheels: nothing is compiled here; what makes the requests is pinned, for the same seed is to make the same ones
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
  schemathesis==4.32.5 hypothesis==6.170.15 openapi-spec-validator==0.9.0
