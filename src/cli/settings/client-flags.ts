import { MAX_THREADS } from '../../node/check-options.js'
import { DEFAULT_SERVER_URL } from '../../node/options.js'
import { DEPLOYED_CLIENT_FLAGS } from './deployed-flags.js'
import type { Flag } from './flags.js'
import * as flags from './flags.js'

/** The commands that are clients; they differ in their role and their help. */
export type ClientCommand = 'client' | 'provider' | 'connector'

export const TOKEN: Flag = {
  flags: '-t, --token <token>',
  help: 'what the server wants to see: its --token, or for a connector a connector token',
  group: flags.CONNECTION,
  fallback: 'anonymous, which only relays open to everybody accept',
  variable: 'LINKSOCKS_TOKEN',
  secret: true,
}
export const SERVER_URL: Flag = {
  flags: '-u, --url <url>',
  help: 'the server: host[:port] (means wss) or a ws://, wss://, http:// or https:// URL; may be repeated, then the first one that admits is taken',
  group: flags.CONNECTION,
  fallback: DEFAULT_SERVER_URL,
  variable: 'LINKSOCKS_URL',
  repeatable: true,
}
export const REVERSE: Flag = {
  flags: '-r, --reverse',
  help: "be a provider: offer this machine's network (the same as linksocks provider)",
  group: flags.CONNECTION,
}
export const CONNECTOR_TOKEN: Flag = {
  flags: '-c, --connector-token <token>',
  help: 'provider in autonomy mode: let connectors with this token use this machine; may be repeated',
  group: flags.CONNECTION,
  variable: 'LINKSOCKS_CONNECTOR_TOKEN',
  secret: true,
  repeatable: true,
}
export const NO_RECONNECT: Flag = {
  flags: '-R, --no-reconnect',
  help: 'end with exit code 1 when the link is lost, instead of connecting again',
  group: flags.CONNECTION,
}
export const RETRY_AUTH: Flag = {
  flags: '--retry-auth',
  help: 'try again when the server refuses the token, instead of ending with exit code 3',
  group: flags.CONNECTION,
  variable: 'LINKSOCKS_RETRY_AUTH',
}
export const THREADS: Flag = {
  flags: '-T, --threads <count>',
  help: `links to the server, 1 to ${MAX_THREADS}`,
  group: flags.CONNECTION,
  fallback: '1',
}
export const SERVER_PROXY: Flag = {
  flags: '--server-proxy <url>',
  help: 'reach the server through this proxy: socks5://[user:password@]host[:port] or http://...',
  group: flags.CONNECTION,
  fallback: 'http_proxy, https_proxy, all_proxy and no_proxy decide; loopback is always direct',
}
export const NO_ENV_PROXY: Flag = {
  flags: '-E, --no-env-proxy',
  help: 'ignore the proxy variables',
  group: flags.CONNECTION,
}
export const AUTH_IN_BAND: Flag = {
  flags: '--auth-in-band',
  help: "send the token inside the WebSocket, instead of its hash in the URL, which ends up in proxies' logs",
  group: flags.CONNECTION,
}
export const HEADER: Flag = {
  flags: '--header <name: value>',
  help: 'add a header to the WebSocket handshake; may be repeated',
  group: flags.CONNECTION,
  repeatable: true,
}
export const CA_FILE: Flag = {
  flags: '--ca-file <path>',
  help: "trust the certificate authorities in this PEM file, and no others; without it Node's list, NODE_EXTRA_CA_CERTS and from Node 22.15 on the system's",
  group: flags.CONNECTION,
}
export const SERVER_NAME: Flag = {
  flags: '--server-name <name>',
  help: "name to ask for and to expect in the server's certificate, if it is not the host of --url",
  group: flags.CONNECTION,
}
export const INSECURE: Flag = {
  flags: '--insecure',
  help: "do not check the server's certificate: whoever is in between can read and change everything",
  group: flags.CONNECTION,
}

export const CLIENT_CERT: Flag = {
  flags: '--client-cert <path>',
  help: 'show the server the certificate in this PEM file (needs --client-key)',
  group: flags.CONNECTION,
  variable: 'LINKSOCKS_CLIENT_CERT',
}
export const CLIENT_KEY: Flag = {
  flags: '--client-key <path>',
  help: 'PEM file of the key of --client-cert; may be the same file',
  group: flags.CONNECTION,
  variable: 'LINKSOCKS_CLIENT_KEY',
}
export const PIN_SHA256: Flag = {
  flags: '--pin-sha256 <hash>',
  help: 'talk only to a server whose public key has this SHA-256 (base64 or hex), besides the check of its certificate, or with --insecure in place of it; may be repeated, for a key that is about to change',
  group: flags.CONNECTION,
  variable: 'LINKSOCKS_PIN_SHA256',
  repeatable: true,
}

/** Flags that mean something only where the proxy port is. */
export const LISTENER_FLAGS: readonly Flag[] = [...flags.SOCKS_FLAGS, flags.FAST_OPEN]
/** Flags that mean something only at the way out. */
const EXIT_FLAGS: readonly Flag[] = [flags.UPSTREAM_PROXY, flags.UDP_TIMEOUT, flags.ALLOW_OWN_PORTS]

const CLIENT_FLAGS: readonly Flag[] = [
  TOKEN,
  flags.TOKEN_FILE,
  SERVER_URL,
  REVERSE,
  CONNECTOR_TOKEN,
  NO_RECONNECT,
  RETRY_AUTH,
  THREADS,
  SERVER_PROXY,
  NO_ENV_PROXY,
  AUTH_IN_BAND,
  HEADER,
  CA_FILE,
  SERVER_NAME,
  INSECURE,
  CLIENT_CERT,
  CLIENT_KEY,
  PIN_SHA256,
  flags.PING_INTERVAL,
  flags.PING_TIMEOUT,
  flags.NO_RESUME,
  flags.RESUME_TIMEOUT,
  flags.DRAIN_TIMEOUT,
  flags.DRAIN_IDLE,
  ...LISTENER_FLAGS,
  ...EXIT_FLAGS,
  flags.ACCESS_RULE,
  flags.DEBUG,
  flags.LOG_FORMAT,
  ...DEPLOYED_CLIENT_FLAGS,
]

const RULE_HELP: Readonly<Record<ClientCommand, string>> = {
  client: 'let the proxy port (with -r: this machine) reach nothing else',
  provider: 'let others reach nothing else from this machine',
  connector: 'let the proxy port reach nothing else',
}

/** All three commands accept the same flags; help leaves out those without a meaning for the command. */
export function clientFlags(command: ClientCommand): readonly Flag[] {
  const elsewhere: readonly Flag[] = {
    client: [],
    provider: [REVERSE, ...LISTENER_FLAGS],
    connector: [REVERSE, CONNECTOR_TOKEN, ...EXIT_FLAGS],
  }[command]
  const rule = { ...flags.ACCESS_RULE, help: `${RULE_HELP[command]}; ${flags.ACCESS_RULE.help}` }
  return CLIENT_FLAGS.map((flag) => {
    if (flag === flags.ACCESS_RULE) return rule
    return elsewhere.includes(flag) ? { ...flag, hidden: true } : flag
  })
}

export const CLIENT_SUMMARIES: Readonly<Record<ClientCommand, string>> = {
  client: "open a proxy port here that leads through the server; with -r offer this machine's network",
  provider: "offer this machine's network to whom the server lets in (client -r)",
  connector: "open a proxy port here that leads to a provider's network (client with a connector token)",
}

const COMMON_END = `
A flag wins over its variable. Exit codes: 0 ended by request, 1 failed or link lost, 2 usage,
3 the server refused the token. Stop with Ctrl-C or SIGTERM.`

export const CLIENT_EXAMPLES: Readonly<Record<ClientCommand, string>> = {
  client: `
Examples:
  Use the server's network through a proxy port on this machine
    linksocks client -t SECRET -u ws://SERVER:8765
    curl --socks5-hostname 127.0.0.1:9870 https://example.com

  Keep the token out of the process list
    linksocks client --token-file ./token -u wss://relay.example.com

  Show a certificate of its own, to a server whose key is known
    linksocks client -t SECRET -u wss://relay.example.com --client-cert ann.pem --client-key ann.key --pin-sha256 HASH

  Through a company's proxy
    linksocks client -t SECRET -u wss://relay.example.com --server-proxy http://proxy.example.com:8080
${COMMON_END}`,
  provider: `
Examples:
  Offer this machine's network to the users of the server
    linksocks provider -t SECRET -u ws://SERVER:8765

  Autonomy mode: offer it to connectors that know CONNECTOR-SECRET
    linksocks provider -t PROVIDER-SECRET -c CONNECTOR-SECRET -u ws://SERVER:8765

  Reach destinations through another proxy
    linksocks provider -t SECRET -u ws://SERVER:8765 -x socks5://127.0.0.1:1080
${COMMON_END}`,
  connector: `
Examples:
  Use the network of the provider that this connector token belongs to
    linksocks connector -t CONNECTOR-SECRET -u ws://SERVER:8765 -p 1180
    curl --socks5-hostname 127.0.0.1:1180 https://example.com

  Let the whole network use it, with a password
    linksocks connector -t CONNECTOR-SECRET -u ws://SERVER:8765 -s 0.0.0.0 -n ann -w PASSWORD
${COMMON_END}`,
}
