#!/bin/sh
# Checks from outside what the TLS of a server takes and refuses, by OpenSSL's client:
#
#   scripts/check-tls.sh [--ca-file FILE] [--name NAME] HOST:PORT
#
#   --ca-file FILE   authorities that signed the server's certificate (default: those of this system)
#   --name NAME      host name that the certificate is for (default: HOST)
#
# One line for each check: `ok`, `FAIL`, `warn` for what is legal and not best, `skip` for what this OpenSSL can't try: most builds have no
# SSLv3, RC4, 3DES or EXPORT ciphers any more. The exit code is 1 when a check fails, and 2 when the server can't be reached
# or the command line is wrong.
#
# `warn` about forward secrecy: a certificate with an RSA key also serves clients that exchange keys by RSA alone. One with a P-256 key does
# not. Needs OpenSSL 3 and the coreutils; takes a few seconds, and changes nothing at the server.
set -u

usage() {
  echo "usage: $0 [--ca-file FILE] [--name NAME] HOST:PORT" >&2
  exit 2
}

address=
name=
ca=
while [ $# -gt 0 ]; do
  case $1 in
    --ca-file) [ $# -gt 1 ] || usage; ca=$2; shift 2 ;;
    --name) [ $# -gt 1 ] || usage; name=$2; shift 2 ;;
    -*) usage ;;
    *) [ -z "$address" ] || usage; address=$1; shift ;;
  esac
done
case $address in *:*) ;; *) usage ;; esac
[ -n "$name" ] || name=$(echo "${address%:*}" | tr -d '[]')
if [ -n "$ca" ] && [ ! -r "$ca" ]; then
  echo "$0: can't read $ca" >&2
  exit 2
fi

LIMIT_S=20
failed=0
folder=$(mktemp -d) || exit 2
client=
trap '[ -z "$client" ] || kill "$client" 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM HUP
# of a client that has ended
trap '' PIPE

report() {
  printf '%-4s %s\n' "$1" "$2"
  if [ "$1" = FAIL ]; then failed=1; fi
}

# a connection with these options; what is typed into it comes from standard input
dial() {
  timeout "$LIMIT_S" openssl s_client -connect "$address" -servername "$name" "$@" 2>&1
}

# what becomes of a handshake: taken, refused, unable (this OpenSSL has no such thing) or unreachable
outcome() {
  dial "$@" </dev/null >"$folder/said"
  if grep -q 'Cipher is [A-Z]' "$folder/said"; then
    echo taken
  elif grep -Eiq 'unknown option|no cipher match|no ciphers available|no protocols available' "$folder/said"; then
    echo unable
  elif grep -q '^CONNECTED' "$folder/said"; then
    echo refused
  else
    echo unreachable
  fi
}

# expect taken|refused WHAT OPTIONS...
expect() {
  wanted=$1
  what=$2
  shift 2
  found=$(outcome "$@")
  case $found in
    "$wanted") report ok "$what is $wanted" ;;
    unable) report skip "$what: this OpenSSL can't try it" ;;
    *) report FAIL "$what is $found" ;;
  esac
}

# said PATTERN: waits until the output of the client holds it, or the client has ended
said() {
  for _ in $(seq $((LIMIT_S * 10))); do
    if grep -Eq "$1" "$folder/said"; then return 0; fi
    if ! kill -0 "$client" 2>/dev/null; then break; fi
    sleep 0.1
  done
  grep -Eq "$1" "$folder/said"
}

if [ "$(outcome)" = unreachable ]; then
  echo "$0: can't reach $address: $(grep -Ei 'error|errno|lookup' "$folder/said" | head -1)" >&2
  exit 2
fi

expect refused 'SSL 3.0' -ssl3 -cipher 'ALL:@SECLEVEL=0'
expect refused 'TLS 1.0' -tls1 -cipher 'ALL:@SECLEVEL=0'
expect refused 'TLS 1.1' -tls1_1 -cipher 'ALL:@SECLEVEL=0'
# may be left out
case $(outcome -tls1_2) in
  taken) report ok 'TLS 1.2 is taken' ;;
  unable) report skip "TLS 1.2: this OpenSSL can't try it" ;;
  *) report warn 'TLS 1.2 is refused: clients that know nothing newer are left out' ;;
esac
expect taken 'TLS 1.3' -tls1_3

expect refused 'TLS 1.2 without encryption (NULL)' -tls1_2 -cipher 'eNULL:@SECLEVEL=0'
expect refused 'TLS 1.2 without a certificate (anonymous)' -tls1_2 -cipher 'aNULL:@SECLEVEL=0'
expect refused 'TLS 1.2 with EXPORT ciphers' -tls1_2 -cipher 'EXPORT:@SECLEVEL=0'
expect refused 'TLS 1.2 with RC4' -tls1_2 -cipher 'RC4:@SECLEVEL=0'
expect refused 'TLS 1.2 with 3DES' -tls1_2 -cipher '3DES:@SECLEVEL=0'

case $(outcome -tls1_2 -cipher 'kRSA:!eNULL:@SECLEVEL=0') in
  refused) report ok 'forward secrecy: a key exchange by RSA alone is refused' ;;
  unable) report skip "forward secrecy: this OpenSSL can't try a key exchange by RSA alone" ;;
  *) report warn 'no forward secrecy for clients that want RSA key exchange: take a certificate with a P-256 key' ;;
esac

if [ "$(outcome -tls1_2 -comp)" != taken ]; then
  report skip 'compression and secure renegotiation: TLS 1.2 is not taken'
else
  if grep -q '^Compression: NONE' "$folder/said"; then
    report ok 'compression is off'
  else
    report FAIL 'compression is on'
  fi
  if grep -q '^Secure Renegotiation IS supported' "$folder/said"; then
    report ok 'renegotiation is secure (RFC 5746)'
  else
    report FAIL 'renegotiation is not secure (RFC 5746)'
  fi
fi

# a line R asks for another handshake
mkfifo "$folder/typed"
: >"$folder/said"
timeout "$LIMIT_S" openssl s_client -connect "$address" -servername "$name" -tls1_2 <"$folder/typed" >"$folder/said" 2>&1 &
client=$!
exec 3>"$folder/typed"
if said 'Verify return code' && grep -q 'Cipher is [A-Z]' "$folder/said"; then
  seen=$(wc -l <"$folder/said")
  echo R >&3 2>/dev/null
  # either it verifies the certificate again, or it ends
  for _ in $(seq $((LIMIT_S * 10))); do
    tail -n "+$((seen + 1))" "$folder/said" >"$folder/second"
    if grep -Eq '^verify return|error:' "$folder/second"; then break; fi
    if ! kill -0 "$client" 2>/dev/null; then break; fi
    sleep 0.1
  done
  if grep -q '^verify return' "$folder/second"; then
    report FAIL 'renegotiation that a client asks for is taken'
  else
    report ok 'renegotiation that a client asks for is refused'
  fi
else
  report skip 'renegotiation that a client asks for: TLS 1.2 is not taken'
fi
exec 3>&-
kill "$client" 2>/dev/null
wait "$client" 2>/dev/null
client=

# a session is kept once something came through it: TLS 1.3 hands it out after the handshake
resumes() {
  rm -f "$folder/session"
  printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$name" |
    dial "$1" -ign_eof -sess_out "$folder/session" >"$folder/said"
  [ -s "$folder/session" ] || return 1
  dial "$1" -sess_in "$folder/session" </dev/null >"$folder/said"
  grep -q '^Reused' "$folder/said"
}
dial </dev/null >"$folder/said"
if grep -Eq '^Acceptable client certificate CA names|^Client Certificate Types|^Requested Signature Algorithms' "$folder/said"; then
  for version in 2 3; do
    if resumes "-tls1_$version"; then
      report FAIL "TLS 1.$version resumes sessions although the server asks for client certificates"
    else
      report ok "TLS 1.$version resumes no session, as the server asks for client certificates"
    fi
  done
else
  report skip 'resumed sessions: no client certificates are asked for'
fi

dial ${ca:+-CAfile "$ca"} -verify_hostname "$name" -showcerts </dev/null >"$folder/said"
problem=$(grep 'Verify return code' "$folder/said" | head -1 | sed 's/^ *Verify return code: //')
if [ "$problem" = '0 (ok)' ]; then
  report ok "the certificate chain is whole ($(grep -c 'BEGIN CERTIFICATE' "$folder/said") sent), trusted and for $name"
else
  report FAIL "the certificate chain: $problem"
fi
if openssl x509 -in "$folder/said" -noout -checkend 0 >/dev/null 2>&1; then
  report ok "the certificate is good until $(openssl x509 -in "$folder/said" -noout -enddate | sed 's/.*=//')"
else
  report FAIL 'the certificate has expired'
fi

exit "$failed"
