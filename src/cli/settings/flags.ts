import { Option } from 'commander'
import { PROXY_PROTOCOLS as DEFAULT_PROTOCOLS } from '../../inbound/serve-inbound.js'
import { DEFAULT_SOCKS_PORT } from '../../node/options.js'

/** One flag of a command, with the variable that may stand for it. */
export interface Flag {
  /** As commander reads it: `-p, --socks-port <port>`. */
  readonly flags: string
  /** For `--help`; default and variables are appended to it. */
  readonly help: string
  /** Heading it stands under in `--help`. */
  readonly group: string
  /** What holds when neither flag nor variable is given, for `--help`. */
  readonly fallback?: string
  readonly variable?: string
  /** Has a `_FILE` form of its variable, and its text appears in no message. */
  readonly secret?: boolean
  /** A secret whose empty variable counts as not set; an empty token, key or password is an error. */
  readonly optionalSecret?: boolean
  /** Bytes of a file that holds the secret. @default SECRET_FILE_LIMIT */
  readonly fileLimit?: number
  /** The words it takes, for shell completion. */
  readonly choices?: readonly string[]
  /** May be given several times. */
  readonly repeatable?: boolean
  /** Its places among all flags with this mark are kept, besides its texts. */
  readonly ordered?: boolean
  /** Accepted, but not worth a line in `--help`. */
  readonly hidden?: boolean
}

/** Where the occurrences of {@link Flag.ordered} flags are among the values of a command line: no flag has a blank in its name. */
export const IN_ORDER = 'in order'

/** One of them: the long name of the flag, and its text. */
export type Occurrence = readonly [name: string, text: string]

/** `--socks-port` of `-p, --socks-port <port>`. */
export function longName(flag: Flag): string {
  return new Option(flag.flags).long ?? flag.flags
}

export const CONNECTION = 'Connection:'
export const SOCKS = 'Proxy port (SOCKS5, SOCKS4a, HTTP):'
const EXIT = 'Way out to destinations:'
export const OTHER = 'Log and help:'

export const SOCKS_HOST: Flag = {
  flags: '-s, --socks-host <host>',
  help: 'address the proxy port listens on; 0.0.0.0 opens it to the network, then set a user name and password',
  group: SOCKS,
  fallback: '127.0.0.1',
  variable: 'LINKSOCKS_SOCKS_HOST',
}
export const SOCKS_PORT: Flag = {
  flags: '-p, --socks-port <port>',
  help: 'the proxy port; what its clients speak is recognised',
  group: SOCKS,
  fallback: String(DEFAULT_SOCKS_PORT),
  variable: 'LINKSOCKS_SOCKS_PORT',
}
export const SOCKS_USERNAME: Flag = {
  flags: '-n, --socks-username <name>',
  help: 'user name its clients must give (needs --socks-password); SOCKS4 has none and is refused then',
  group: SOCKS,
  variable: 'LINKSOCKS_SOCKS_USERNAME',
}
export const SOCKS_PASSWORD: Flag = {
  flags: '-w, --socks-password <password>',
  help: 'password its clients must give (needs --socks-username)',
  group: SOCKS,
  variable: 'LINKSOCKS_SOCKS_PASSWORD',
  secret: true,
}
export const SOCKS_NOWAIT: Flag = {
  flags: '-i, --socks-nowait',
  help: 'open the proxy port at once instead of when there is somebody to carry its traffic (also --socks-no-wait)',
  group: SOCKS,
}
/** The other deployed spelling of {@link SOCKS_NOWAIT}. */
export const SOCKS_NO_WAIT: Flag = { ...SOCKS_NOWAIT, flags: '--socks-no-wait', hidden: true }

export const PROXY_PROTOCOLS: Flag = {
  flags: '--proxy-protocols <list>',
  help: 'serve these alone, separated by commas: socks5, socks4 (and 4a), http; UDP goes by SOCKS5, HTTP has no form for it',
  group: SOCKS,
  fallback: DEFAULT_PROTOCOLS.join(),
  variable: 'LINKSOCKS_PROXY_PROTOCOLS',
}
export const PAC_HOST: Flag = {
  flags: '--pac-host <name>',
  help: 'a name by which browsers may ask the port for its help and /proxy.pac, besides localhost and addresses; may be repeated',
  group: SOCKS,
  variable: 'LINKSOCKS_PAC_HOST',
  repeatable: true,
}

export const UDP_STRICT_PORT: Flag = {
  flags: '--udp-strict-port',
  help: 'take datagrams from the first port of a SOCKS5 client alone, so that other users of its machine cannot take its answers over',
  group: SOCKS,
}

export const TOKEN_FILE: Flag = {
  flags: '--token-file <path>',
  help: 'read the token from this file, which keeps it out of the process list',
  group: CONNECTION,
}
export const UPSTREAM_PROXY: Flag = {
  flags: '-x, --upstream-proxy <url>',
  help: 'reach destinations through this proxy: socks5://[user:password@]host[:port], or http://..., which carries no UDP',
  group: EXIT,
  fallback: 'none',
  variable: 'LINKSOCKS_UPSTREAM_PROXY',
  // may hold a password
  secret: true,
  optionalSecret: true,
}
export const UDP_TIMEOUT: Flag = {
  flags: '--udp-timeout <duration>',
  help: 'close a UDP association that was idle for so long',
  group: EXIT,
  fallback: '5m',
}
export const ALLOW_OWN_PORTS: Flag = {
  flags: '--allow-own-ports',
  help: "let what is dialled for others reach this program's own ports (HTTP, proxy, metrics) at this machine's addresses",
  group: EXIT,
}
/** What it limits differs from command to command, and so does its help. */
export const ACCESS_RULE: Flag = {
  flags: '--access-rule <addr:port>',
  help: 'ADDR: CIDR, IP, A-B or 192.168.1.1-255; PORT: one or LOW-HIGH; may be repeated, without it everything is allowed',
  group: EXIT,
  repeatable: true,
}
export const FAST_OPEN: Flag = {
  flags: '-f, --fast-open',
  help: 'tell clients "connected" before the destination answered: saves a round trip, hides failures',
  group: SOCKS,
  variable: 'LINKSOCKS_FASTOPEN',
}
export const PING_INTERVAL: Flag = {
  flags: '--ping-interval <duration>',
  help: 'ask the other end of a link so often whether it is still there',
  group: CONNECTION,
  fallback: '20s',
}
export const PING_TIMEOUT: Flag = {
  flags: '--ping-timeout <duration>',
  help: 'give a link up when nothing came from the other end for so long',
  group: CONNECTION,
  fallback: '45s',
}
export const NO_RESUME: Flag = {
  flags: '--no-resume',
  help: 'end streams with the connection they are on, instead of going on with them on the next one',
  group: CONNECTION,
}
export const RESUME_TIMEOUT: Flag = {
  flags: '--resume-timeout <duration>',
  help: 'let streams wait for so long when their connection is lost',
  group: CONNECTION,
  fallback: '60s',
}
export const DRAIN_TIMEOUT: Flag = {
  flags: '--drain-timeout <duration>',
  help: 'on SIGTERM accept nothing new and give streams this long to finish; a second signal ends at once',
  group: OTHER,
  fallback: '8s',
}
export const DRAIN_IDLE: Flag = {
  flags: '--drain-idle <duration>',
  help: 'then do not wait for streams that have carried nothing for this long',
  group: OTHER,
  fallback: '2s',
}
export const DEBUG: Flag = {
  flags: '-d, --debug',
  help: 'log more; -dd logs every message as well',
  group: OTHER,
}
export const LOG_FORMAT: Flag = {
  flags: '--log-format <format>',
  choices: ['text', 'json'],
  help: 'text for people or json for programs, one object a line; always on standard error',
  group: OTHER,
  fallback: 'text',
}

/** Flags of the proxy port that server and clients share. */
export const SOCKS_FLAGS: readonly Flag[] = [
  SOCKS_HOST,
  SOCKS_PORT,
  SOCKS_USERNAME,
  SOCKS_PASSWORD,
  SOCKS_NOWAIT,
  PROXY_PROTOCOLS,
  PAC_HOST,
  UDP_STRICT_PORT,
  SOCKS_NO_WAIT,
]
