#!/bin/sh
# Makes the certificates of this folder again, valid from 2024 for 100 years. Needs OpenSSL 3; keeps no key of the authority.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: > "$work/index.txt"
cat > "$work/ca.cnf" <<END
[ca]
default_ca = this
[this]
database = $work/index.txt
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
default_startdate = 20240101000000Z
default_enddate = 21231231000000Z
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,DNS:relay.test,IP:127.0.0.1,IP:::1
[req]
distinguished_name = name
[name]
END
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1"; }
request() { openssl req -new -config "$work/ca.cnf" -key "$1" -subj "/CN=$2" -out "$work/request.csr"; }
sign() { openssl ca -batch -notext -config "$work/ca.cnf" -in "$work/request.csr" "$@" 2>/dev/null; }
key "$work/ca.key"
request "$work/ca.key" 'LinkSocks test CA'
sign -selfsign -keyfile "$work/ca.key" -extensions authority -out ca.pem
key server.key
request server.key localhost
sign -keyfile "$work/ca.key" -cert ca.pem -extensions server -out server.pem
