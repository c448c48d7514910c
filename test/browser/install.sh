#!/usr/bin/env bash
# Installs what the suite runs, as root, where it is missing: Debian's Chromium and a font with Chinese characters.
set -euo pipefail

missing=()
[ -n "${CHROMIUM:-}" ] || command -v /usr/bin/chromium >/dev/null || missing+=(chromium)
# without one, Chinese is drawn as boxes, all of the same width
[ -n "$(fc-list :lang=zh 2>/dev/null)" ] || missing+=(fontconfig fonts-wqy-zenhei)
if [ ${#missing[@]} != 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    printf 'missing: %s; CHROMIUM=PATH names another browser than /usr/bin/chromium\n' "${missing[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
