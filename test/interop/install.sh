#!/usr/bin/env bash
# Installs what the suite runs: Debian packages (as root, where some are missing) and Python environments beside this script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ../support/debian-packages.sh

# program, and the package that brings it
programs=(
  curl:curl wget:wget git:git rsync:rsync openssl:openssl python3:python3 ip:iproute2
  ssh:openssh-client /usr/sbin/sshd:openssh-server nc.openbsd:netcat-openbsd proxychains4:proxychains4
  /usr/sbin/nginx:nginx-light /usr/sbin/haproxy:haproxy chromium:chromium
  apt-get:apt dpkg-deb:dpkg tar:tar javac:default-jdk-headless
)
missing=()
for entry in "${programs[@]}"; do
  command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
install_packages "${missing[@]}" || printf 'the cases that need them are skipped\n' >&2
# not every release has it, and one that is missing keeps apt from installing the others
command -v kubectl >/dev/null || install_packages kubernetes-client || printf 'its cases are skipped\n' >&2

# environment, and what is installed into it; only wheels: nothing is compiled here
environment() {
  local name=$1 python=.venv/$1/bin/python
  shift
  if [ ! -x "$python" ]; then
    python3 -m venv ".venv/$name" || { rm -rf ".venv/$name" && return 0; }
  fi
  "$python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "$@" ||
    { rm -rf ".venv/$name" && printf 'could not install %s: its cases are skipped\n' "$*" >&2; }
}

environment linksocks-1.10.1 linksocks==1.10.1
environment linksocks-1.8.9 linksocks==1.8.9
environment pywssocks pywssocks==1.5.1 websockets==15.0.1
environment tools websockets==15.0.1 PySocks==1.7.1

# an ACME authority for tests, built from its Go module with the versions that go.sum has
if command -v go >/dev/null; then
  (cd pebble && go build -mod=readonly -o ../.venv/pebble/pebble github.com/letsencrypt/pebble/v2/cmd/pebble) ||
    printf 'could not build pebble: its cases are skipped\n' >&2
else
  printf 'Go is not installed: the cases with an ACME authority are skipped\n' >&2
fi
