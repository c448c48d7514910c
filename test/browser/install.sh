#!/usr/bin/env bash
# Installs what the suite runs, as root, where it is missing: Debian's Chromium and a font with Chinese characters.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ../support/debian-packages.sh

missing=()
[ -n "${CHROMIUM:-}" ] || command -v /usr/bin/chromium >/dev/null || missing+=(chromium)
# without one, Chinese is drawn as boxes, all of the same width
[ -n "$(fc-list :lang=zh 2>/dev/null)" ] || missing+=(fontconfig fonts-wqy-zenhei)
install_packages "${missing[@]}" || { printf 'CHROMIUM=PATH names another browser than /usr/bin/chromium\n' >&2 && exit 1; }
