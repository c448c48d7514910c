import { DEFAULT_PORT } from '../../node/options.js'
import * as client from '../settings/client-flags.js'
import type { Flag } from '../settings/flags.js'
import * as flags from '../settings/flags.js'
import { EGRESS_FLAGS, NO_POLICY_FLAGS, POLICY_FLAGS, PROTOCOL } from './policy-flags.js'

const SERVER = 'Running server:'
const TOKEN_GROUP = 'Token:'
const OUTPUT = 'Output and help:'

/** Of a server on this machine. */
export const DEFAULT_API_URL = `http://127.0.0.1:${DEFAULT_PORT}`
export const API_URL: Flag = {
  flags: '-u, --url <url>',
  help: 'the running server: an http://, https://, ws:// or wss:// URL; a path before /api or /socket is kept',
  group: SERVER,
  fallback: DEFAULT_API_URL,
  variable: 'LINKSOCKS_API_URL',
}
export const API_KEY: Flag = {
  flags: '-k, --api-key <key>',
  help: "an API key of the server (its --api-key); a read-only one can't change anything",
  group: SERVER,
  variable: 'LINKSOCKS_API_KEY',
  secret: true,
}
export const API_KEY_FILE: Flag = {
  flags: '--api-key-file <path>',
  help: 'read the API key from this file, which keeps it out of the process list',
  group: SERVER,
}
export const TIMEOUT: Flag = {
  flags: '--timeout <duration>',
  help: 'give the server so long to answer each call',
  group: SERVER,
  fallback: '10s',
}
export const JSON_OUTPUT: Flag = {
  flags: '--json',
  help: "print the API's answer as one JSON document, for programs; tokens are whole in it",
  group: OUTPUT,
}
export const SHOW_TOKENS: Flag = {
  flags: '--show-tokens',
  help: 'print tokens whole, not their first four characters',
  group: OUTPUT,
}
export const QUIET: Flag = {
  flags: '-q, --quiet',
  help: 'print the token and nothing else',
  group: OUTPUT,
}
export const RESET: Flag = {
  flags: '--reset',
  help: 'count its bytes from 0 again, those of its quota too; takes an API key that may change things',
  group: TOKEN_GROUP,
}

export const TOKEN_TYPES = ['forward', 'reverse', 'connector'] as const
export type TokenType = (typeof TOKEN_TYPES)[number]

export const TYPE: Flag = {
  flags: '--type <type>',
  help: "forward (for clients: the server's network), reverse (for providers) or connector (for users of a provider); required",
  group: TOKEN_GROUP,
  choices: TOKEN_TYPES,
}
export const TOKEN: Flag = {
  flags: '-t, --token <token>',
  help: 'the token to add',
  group: TOKEN_GROUP,
  fallback: 'the server makes one of 32 letters and digits',
  variable: 'LINKSOCKS_TOKEN',
  secret: true,
}
export const TOKEN_FILE: Flag = { ...flags.TOKEN_FILE, group: TOKEN_GROUP }
export const REVERSE_TOKEN: Flag = {
  flags: '--reverse-token <token>',
  help: 'connector: the reverse token whose providers it leads to; required for this type',
  group: TOKEN_GROUP,
  variable: 'LINKSOCKS_REVERSE_TOKEN',
  secret: true,
}
export const LABEL: Flag = {
  flags: '-l, --label <text>',
  help: 'what people call it, 1 to 200 bytes',
  group: TOKEN_GROUP,
}
export const EXPIRES_AT: Flag = {
  flags: '--expires-at <time>',
  help: 'refuse it from then on, such as 2030-01-31T12:00:00Z',
  group: TOKEN_GROUP,
}
export const EXPIRES_IN: Flag = {
  flags: '--expires-in <time>',
  help: 'refuse it after so long, such as 30d, 12h or 1d12h',
  group: TOKEN_GROUP,
}
export const PORT: Flag = {
  flags: '-p, --port <port>',
  help: 'reverse: its proxy port on the server',
  group: TOKEN_GROUP,
  fallback: "the lowest free one of the server's --port-range",
}
export const AUTONOMY: Flag = {
  flags: '-a, --connector-autonomy',
  help: 'reverse: its providers bring their own connector tokens, and it has no proxy port',
  group: TOKEN_GROUP,
}
export const SOCKS_USERNAME: Flag = {
  ...flags.SOCKS_USERNAME,
  help: 'reverse: user name its clients must give (needs --socks-password); SOCKS4 has none and is refused then',
  group: TOKEN_GROUP,
}
export const SOCKS_PASSWORD: Flag = {
  ...flags.SOCKS_PASSWORD,
  help: 'reverse: password its clients must give (needs --socks-username)',
  group: TOKEN_GROUP,
}
export const ACCESS_RULE: Flag = {
  ...flags.ACCESS_RULE,
  help: `let its clients (reverse: its proxy port) reach nothing else; ${flags.ACCESS_RULE.help}`,
  group: TOKEN_GROUP,
}
export const NO_SOCKS_AUTH: Flag = {
  flags: '--no-socks-auth',
  help: 'ask clients of its proxy port for no user name and password any more',
  group: TOKEN_GROUP,
}
export const NO_LABEL: Flag = { flags: '--no-label', help: 'take the label away', group: TOKEN_GROUP }
export const NO_EXPIRY: Flag = { flags: '--no-expiry', help: 'let it stay valid', group: TOKEN_GROUP }
export const ENABLE: Flag = { flags: '--enable', help: 'accept it again', group: TOKEN_GROUP }
export const DISABLE: Flag = {
  flags: '--disable',
  help: 'refuse it and disconnect its clients, until --enable',
  group: TOKEN_GROUP,
}

const ACCESS: readonly Flag[] = [
  API_URL,
  API_KEY,
  API_KEY_FILE,
  ...[
    client.SERVER_PROXY,
    client.NO_ENV_PROXY,
    client.CA_FILE,
    client.SERVER_NAME,
    client.INSECURE,
    client.CLIENT_CERT,
    client.CLIENT_KEY,
    client.PIN_SHA256,
  ].map((flag) => ({ ...flag, group: SERVER })),
  TIMEOUT,
]

export const STATUS_FLAGS: readonly Flag[] = [...ACCESS, JSON_OUTPUT]
export const LIST_FLAGS: readonly Flag[] = [...ACCESS, SHOW_TOKENS, JSON_OUTPUT]
export const SHOW_FLAGS: readonly Flag[] = [...ACCESS, SHOW_TOKENS, JSON_OUTPUT]
export const ADD_FLAGS: readonly Flag[] = [
  TYPE,
  TOKEN,
  TOKEN_FILE,
  REVERSE_TOKEN,
  LABEL,
  EXPIRES_AT,
  EXPIRES_IN,
  PORT,
  AUTONOMY,
  SOCKS_USERNAME,
  SOCKS_PASSWORD,
  ACCESS_RULE,
  ...POLICY_FLAGS,
  ...ACCESS,
  QUIET,
  JSON_OUTPUT,
]
export const SET_FLAGS: readonly Flag[] = [
  ENABLE,
  DISABLE,
  LABEL,
  NO_LABEL,
  EXPIRES_AT,
  EXPIRES_IN,
  NO_EXPIRY,
  SOCKS_USERNAME,
  SOCKS_PASSWORD,
  NO_SOCKS_AUTH,
  ...POLICY_FLAGS,
  ...NO_POLICY_FLAGS,
  ...ACCESS,
  JSON_OUTPUT,
]
export const CHECK_FLAGS: readonly Flag[] = [PROTOCOL, ...EGRESS_FLAGS, ...ACCESS, JSON_OUTPUT]
export const USAGE_FLAGS: readonly Flag[] = [RESET, ...ACCESS, JSON_OUTPUT]
export const REMOVE_FLAGS: readonly Flag[] = ACCESS

const END = `
The key may also be in LINKSOCKS_API_KEY or the file that LINKSOCKS_API_KEY_FILE names. Exit codes:
0 done, 1 failed, 2 usage, 3 the server refuses the API key.`

export const STATUS_EXAMPLES = `
Examples:
  The server on this machine
    linksocks status --api-key-file ./api-key

  Another one, for a program
    linksocks status -u https://relay.example.com --api-key-file ./api-key --json
${END}`

export const LIST_EXAMPLES = `
Examples:
  linksocks token list --api-key-file ./api-key
  linksocks token list --api-key-file ./api-key --json | jq -r '.tokens[].id'
${END}`

export const SHOW_EXAMPLES = `
Examples (linksocks token list shows the ids):
  linksocks token show 0123456789abcdef01234567
  linksocks token show 0123456789abcdef01234567 --json | jq .policy
${END}`

export const ADD_EXAMPLES = `
Examples:
  Let somebody use the server's network for a month
    linksocks token add --type forward --label "Ada's laptop" --expires-in 30d

  Reach an office through a proxy port of the server
    linksocks token add --type reverse --label office --port 10080

  Let somebody reach the web and nothing private, in office hours
    linksocks token add --type forward --deny @private --allow :80,443 --hours 'mon-fri 08:00-18:00 Europe/Berlin'

  Let somebody have 50 GB a month, and at most 10 MB a second
    linksocks token add --type forward --quota 50G/month --rate-up 10M --rate-down 10M

  Let somebody reach that office without the port; the reverse token comes from a file
    LINKSOCKS_REVERSE_TOKEN_FILE=./office linksocks token add --type connector

  In a script
    token=$(linksocks token add --type forward --quiet)
${END}`

export const SET_EXAMPLES = `
Examples (linksocks token list shows the ids):
  linksocks token set 0123456789abcdef01234567 --disable
  linksocks token set 0123456789abcdef01234567 --enable --expires-in 12h --label "Ada's laptop"
  linksocks token set 0123456789abcdef01234567 --deny @private --allow '*.example.com:443' --max-streams 100
  linksocks token set 0123456789abcdef01234567 --rate-down 1.5M --rate-up none --quota 50G/month
  linksocks token set 0123456789abcdef01234567 --client-subject 'CN=ann,O=Example'
  linksocks token set 0123456789abcdef01234567 --no-policy
${END}`

export const CHECK_EXAMPLES = `
Examples (linksocks token list shows the ids):
  linksocks token check 0123456789abcdef01234567 www.example.com:443
  linksocks token check 0123456789abcdef01234567 '[2001:db8::1]:53' --protocol udp

  By other rules than it has, before token set gives it these
    linksocks token check 0123456789abcdef01234567 10.0.0.1:22 --deny @private --default-allow

Hours, sources and counts are not asked, and what a provider limits is not known.
${END}`

export const USAGE_EXAMPLES = `
Examples (linksocks token list shows the ids):
  linksocks token usage 0123456789abcdef01234567
  linksocks token usage 0123456789abcdef01234567 --json | jq .quota.used

  Begin to count again, which gives it its whole quota
    linksocks token usage 0123456789abcdef01234567 --reset

Bytes are those of payload; up is towards destinations. 1K is 1,000 bytes.
${END}`

export const REMOVE_EXAMPLES = `
Examples:
  By id, as linksocks token list shows it
    linksocks token rm 0123456789abcdef01234567

  By the token itself, which the process list shows
    linksocks token rm laptop

Clients of a removed token are disconnected at once; a reverse token takes its connector tokens along.
${END}`
