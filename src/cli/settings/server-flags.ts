import { DEFAULT_PORT } from '../../node/options.js'
import { DEPLOYED_SERVER_FLAGS } from './deployed-flags.js'
import { KEYS_FILE_LIMIT } from './files.js'
import type { Flag } from './flags.js'
import * as flags from './flags.js'

const RELAY = 'Relay:'
const TLS = 'TLS:'

export const TOKEN: Flag = {
  flags: '-t, --token <token>',
  help: 'what forward clients, or with -r providers, must know; without it (and without --api-key) one is generated and printed',
  group: flags.CONNECTION,
  variable: 'LINKSOCKS_TOKEN',
  secret: true,
}
export const CONNECTOR_TOKEN: Flag = {
  flags: '-c, --connector-token <token>',
  help: 'agent mode, needs -r: what connectors must know to use the providers of --token; may be repeated',
  group: flags.CONNECTION,
  variable: 'LINKSOCKS_CONNECTOR_TOKEN',
  secret: true,
  repeatable: true,
}
export const CONNECTOR_AUTONOMY: Flag = {
  flags: '-a, --connector-autonomy',
  help: 'autonomy mode, needs -r: each provider brings its own connector tokens, the server opens no proxy port',
  group: flags.CONNECTION,
  variable: 'LINKSOCKS_CONNECTOR_AUTONOMY',
}
export const REVERSE: Flag = {
  flags: '-r, --reverse',
  help: 'reverse mode: providers carry the traffic, the proxy port is on this server (or at connectors)',
  group: RELAY,
}
export const WS_HOST: Flag = {
  flags: '-H, --ws-host <host>',
  help: 'address to listen on for WebSocket clients and the HTTP API',
  group: RELAY,
  fallback: '0.0.0.0',
  variable: 'LINKSOCKS_WEBSOCKET_HOST',
}
export const WS_PORT: Flag = {
  flags: '-P, --ws-port <port>',
  help: 'port for WebSocket clients and the HTTP API; 0 takes a free one',
  group: RELAY,
  fallback: String(DEFAULT_PORT),
  variable: 'LINKSOCKS_WEBSOCKET_PORT',
}
export const LISTEN: Flag = {
  flags: '--listen <url>',
  help: 'an address in place of -H and -P: ws://HOST:PORT, wss://HOST:PORT with TLS, or ws+unix:/PATH for a reverse proxy on this machine; may be repeated',
  group: RELAY,
  variable: 'LINKSOCKS_LISTEN',
  repeatable: true,
}
export const TLS_CERT: Flag = {
  flags: '--tls-cert <path>',
  help: "PEM file of the server's certificate and its chain; read again when it changes; may be repeated, then the name that a client asks for decides",
  group: TLS,
  variable: 'LINKSOCKS_TLS_CERT',
  repeatable: true,
}
export const TLS_KEY: Flag = {
  flags: '--tls-key <path>',
  help: 'PEM file of the key of --tls-cert; as often and in the same order',
  group: TLS,
  variable: 'LINKSOCKS_TLS_KEY',
  repeatable: true,
}
export const TLS_CLIENT_CA: Flag = {
  flags: '--tls-client-ca <path>',
  help: 'ask clients for a certificate that an authority in this PEM file signed',
  group: TLS,
  variable: 'LINKSOCKS_TLS_CLIENT_CA',
}
export const TLS_CLIENT_AUTH: Flag = {
  flags: '--tls-client-auth <mode>',
  help: 'whether clients need that certificate: required or optional',
  group: TLS,
  fallback: 'required',
  variable: 'LINKSOCKS_TLS_CLIENT_AUTH',
  choices: ['required', 'optional'],
}
export const ACME_DOMAIN: Flag = {
  flags: '--acme-domain <name>',
  help: 'get a certificate for this host name, and renew it; needs --data-dir, and accepts the terms of the authority; may be repeated',
  group: TLS,
  variable: 'LINKSOCKS_ACME_DOMAIN',
  repeatable: true,
}
export const ACME_EMAIL: Flag = {
  flags: '--acme-email <address>',
  help: 'whom the authority may write to',
  group: TLS,
  variable: 'LINKSOCKS_ACME_EMAIL',
}
export const ACME_DIRECTORY: Flag = {
  flags: '--acme-directory <url>',
  help: 'the authority, by the URL of its ACME directory; one of your own is trusted by NODE_EXTRA_CA_CERTS',
  group: TLS,
  fallback: "Let's Encrypt",
  variable: 'LINKSOCKS_ACME_DIRECTORY',
}
export const ACME_HTTP_LISTEN: Flag = {
  flags: '--acme-http-listen <host:port>',
  help: 'where the authority finds answers by HTTP, which it looks for at port 80; none: it looks at the TLS port alone',
  group: TLS,
  fallback: '0.0.0.0:80, if it is free',
  variable: 'LINKSOCKS_ACME_HTTP_LISTEN',
}
export const API_KEY: Flag = {
  flags: '-k, --api-key <key>',
  help: 'switch on the HTTP API under /api/, for requests with this key in X-API-Key',
  group: RELAY,
  variable: 'LINKSOCKS_API_KEY',
  secret: true,
}
export const API_KEY_FILE: Flag = {
  flags: '--api-key-file <path>',
  help: 'read the API key from this file, which keeps it out of the process list',
  group: RELAY,
}
export const NAMED_API_KEY: Flag = {
  flags: '--named-api-key <name:role:key>',
  help: 'one more API key, with a name for the log; the role is full or read-only; may be repeated',
  group: RELAY,
  variable: 'LINKSOCKS_NAMED_API_KEYS',
  secret: true,
  repeatable: true,
  fileLimit: KEYS_FILE_LIMIT,
}
export const API_KEYS_FILE: Flag = {
  flags: '--api-keys-file <path>',
  help: 'read more API keys from this file, one NAME:ROLE:KEY a line; lines that begin with # are left out',
  group: RELAY,
}
export const DATA_DIR: Flag = {
  flags: '--data-dir <directory>',
  help: 'keep the tokens that the API adds in this directory; made if it is not there',
  group: RELAY,
  fallback: 'none: they are gone after a restart',
  variable: 'LINKSOCKS_DATA_DIR',
}
export const DATA_DIR_WAIT: Flag = {
  flags: '--data-dir-wait <duration>',
  help: 'wait this long while another process has --data-dir',
  group: RELAY,
  fallback: '0s; 90s with --take-over, and where listening sockets were passed',
  variable: 'LINKSOCKS_DATA_DIR_WAIT',
}
export const TAKE_OVER: Flag = {
  flags: '--take-over',
  help: 'once this server is ready, ask the one that has --data-dir to drain, and go on in its place (Linux)',
  group: RELAY,
  variable: 'LINKSOCKS_TAKE_OVER',
}
export const DATA_KEY_FILE: Flag = {
  flags: '--data-key-file <path>',
  help: 'read the key that encrypts secrets in --data-dir from this file: 32 bytes as 64 hex digits or base64',
  group: RELAY,
  fallback: 'data.key in --data-dir, made with the first start',
  variable: 'LINKSOCKS_DATA_KEY',
  secret: true,
}
/** Stands for the variables of {@link DATA_KEY_FILE}: no flag carries the key itself. */
export const DATA_KEY: Flag = { ...DATA_KEY_FILE, flags: '--data-key <key>' }
export const METRICS_KEY: Flag = {
  flags: '--metrics-key <key>',
  help: 'let requests with this key read /metrics, and nothing else; API keys may as well',
  group: RELAY,
  variable: 'LINKSOCKS_METRICS_KEY',
  secret: true,
}
export const METRICS_KEY_FILE: Flag = {
  flags: '--metrics-key-file <path>',
  help: 'read the metrics key from this file, which keeps it out of the process list',
  group: RELAY,
}
export const METRICS_LISTEN: Flag = {
  flags: '--metrics-listen <host:port>',
  help: 'serve /metrics at this address too, without a key',
  group: RELAY,
  fallback: 'none',
  variable: 'LINKSOCKS_METRICS_LISTEN',
}
export const CONNECTOR_WAIT: Flag = {
  flags: '--connector-wait-provider <duration>',
  help: "how long a connector's request waits for a provider to come (back)",
  group: RELAY,
  fallback: '5s',
}
export const TRUSTED_PROXY: Flag = {
  flags: '--trusted-proxy <cidr>',
  help: 'believe X-Forwarded-For of reverse proxies at these addresses; may be repeated',
  group: RELAY,
  fallback: 'none',
  repeatable: true,
}
export const PORT_RANGE: Flag = {
  flags: '--port-range <low-high>',
  help: 'where proxy ports are taken from when none is named (API, --socks-port 0)',
  group: flags.SOCKS,
  fallback: '10000-19999',
}
export const BUFFER_SIZE: Flag = {
  flags: '-b, --buffer-size <bytes>',
  help: 'without effect: buffers follow the connection; accepted because older versions have it',
  group: flags.OTHER,
}
export const SOCKS_PORT: Flag = {
  ...flags.SOCKS_PORT,
  help: 'the proxy port of --token in reverse mode; 0 takes a free one of --port-range',
}

export const ACCESS_RULE: Flag = {
  ...flags.ACCESS_RULE,
  help: `let forward clients (with -r: the proxy port of --token) reach nothing else; ${flags.ACCESS_RULE.help}`,
}

export const SERVER_FLAGS: readonly Flag[] = [
  TOKEN,
  flags.TOKEN_FILE,
  CONNECTOR_TOKEN,
  CONNECTOR_AUTONOMY,
  REVERSE,
  WS_HOST,
  WS_PORT,
  LISTEN,
  TLS_CERT,
  TLS_KEY,
  TLS_CLIENT_CA,
  TLS_CLIENT_AUTH,
  ACME_DOMAIN,
  ACME_EMAIL,
  ACME_DIRECTORY,
  ACME_HTTP_LISTEN,
  API_KEY,
  API_KEY_FILE,
  NAMED_API_KEY,
  API_KEYS_FILE,
  DATA_DIR,
  DATA_DIR_WAIT,
  TAKE_OVER,
  DATA_KEY_FILE,
  METRICS_KEY,
  METRICS_KEY_FILE,
  METRICS_LISTEN,
  CONNECTOR_WAIT,
  TRUSTED_PROXY,
  flags.PING_INTERVAL,
  flags.PING_TIMEOUT,
  flags.NO_RESUME,
  flags.RESUME_TIMEOUT,
  flags.DRAIN_TIMEOUT,
  flags.DRAIN_IDLE,
  ...flags.SOCKS_FLAGS.map((flag) => (flag === flags.SOCKS_PORT ? SOCKS_PORT : flag)),
  PORT_RANGE,
  flags.FAST_OPEN,
  flags.UPSTREAM_PROXY,
  flags.UDP_TIMEOUT,
  flags.ALLOW_OWN_PORTS,
  ACCESS_RULE,
  flags.DEBUG,
  flags.LOG_FORMAT,
  BUFFER_SIZE,
  ...DEPLOYED_SERVER_FLAGS,
]

export const SERVER_SUMMARY = 'run the relay that both sides connect to; in forward mode it is also the way out'

export const SERVER_EXAMPLES = `
Examples:
  Forward: clients use this server's network
    linksocks server -t SECRET
    linksocks client -t SECRET -u ws://SERVER:8765
    curl --socks5-hostname 127.0.0.1:9870 https://example.com

  Reverse: whoever reaches this server's proxy port uses the provider's network
    linksocks server -r -t SECRET
    linksocks provider -t SECRET -u ws://SERVER:8765

  Agent: connectors use the provider's network, through this server
    linksocks server -r -t PROVIDER-SECRET -c CONNECTOR-SECRET
    linksocks provider -t PROVIDER-SECRET -u ws://SERVER:8765
    linksocks connector -t CONNECTOR-SECRET -u ws://SERVER:8765

  Autonomy: each provider hands out its own connector tokens
    linksocks server -r -a -t PROVIDER-SECRET

  With TLS, by a certificate that it gets and renews itself (ports 443 and 80 have to reach it)
    linksocks server -t SECRET --acme-domain relay.example.com --data-dir ./data
    linksocks client -t SECRET -u wss://relay.example.com

  Tokens at run time, kept across restarts
    linksocks server --api-key-file ./api-key --data-dir ./data
    linksocks token add --type forward --api-key-file ./api-key

A flag wins over its variable. Durations: 500ms, 5s, 30m, 1h. Exit codes: 0 ended by request,
1 failed (such as port in use), 2 usage. Stop with Ctrl-C or SIGTERM.`
