import { MAX_THREADS } from '../node/check-options.js'
import type { TlsOptions } from '../node/connect/server-socket.js'
import type { ClientOptions, SocksListenOptions } from '../node/options.js'
import {
  AUTH_IN_BAND,
  type ClientCommand,
  CONNECTOR_TOKEN,
  HEADER,
  LISTENER_FLAGS,
  NO_ENV_PROXY,
  NO_RECONNECT,
  RETRY_AUTH,
  REVERSE,
  SERVER_PROXY,
  SERVER_URL,
  THREADS,
  TOKEN,
} from './settings/client-flags.js'
import { checkDirectMode, deployedNotices } from './settings/deployed-flags.js'
import { type Environment, optionError, type Settings } from './settings/environment.js'
import * as flags from './settings/flags.js'
import { NOTHING_PASSED, type PassedSockets, replacedBySockets } from './settings/passed-sockets.js'
import {
  ignoredIfGiven,
  type Notice,
  type Plan,
  readAccessRules,
  readCredentials,
  readPings,
  readProxyPort,
  readResume,
} from './settings/plan.js'
import { readTls } from './settings/tls.js'
import {
  parseClientToken,
  parseDuration,
  parseHeader,
  parseHost,
  parseInteger,
  parsePort,
  parseProxy,
  parseToken,
  parseUrl,
} from './settings/values.js'

/** @throws {LinkSocksError} ERR_OPTION naming the flag or variable */
export async function planClient(
  command: ClientCommand,
  settings: Settings,
  { env, passed }: { readonly env: Environment; readonly passed?: PassedSockets | undefined },
): Promise<Plan<ClientOptions>> {
  const reverse = command === 'provider' || settings.enabled(REVERSE)
  if (!reverse && settings.given(CONNECTOR_TOKEN)) {
    throw optionError('--connector-token', 'is for providers (-r); a connector gives its token by --token')
  }
  checkDirectMode(settings)
  checkPassed(reverse, passed)
  const socks = await readSocks(settings, passed)
  const tls = await readTls(settings)
  const exitProxy = await settings.secret(flags.UPSTREAM_PROXY, parseProxy)
  const udpTimeoutMs = settings.value(flags.UDP_TIMEOUT, (text) => parseDuration(text, 1_000))
  const rules = readAccessRules(settings)
  const options: ClientOptions = {
    url: readUrls(settings),
    token: await settings.secret(TOKEN, parseClientToken, flags.TOKEN_FILE),
    reverse,
    connectorTokens: reverse ? await settings.secrets(CONNECTOR_TOKEN, parseToken) : undefined,
    reconnect: !settings.enabled(NO_RECONNECT),
    retryAuth: settings.enabled(RETRY_AUTH),
    threads: settings.value(THREADS, (text) => parseInteger(text, 1, MAX_THREADS)),
    serverProxy: settings.value(SERVER_PROXY, parseProxy),
    proxyEnv: settings.enabled(NO_ENV_PROXY) ? undefined : env,
    tls,
    headers: readHeaders(settings),
    authInBand: settings.enabled(AUTH_IN_BAND),
    fastOpen: settings.enabled(flags.FAST_OPEN),
    ...readPings(settings),
    ...readResume(settings),
    allowOwnPorts: reverse ? settings.enabled(flags.ALLOW_OWN_PORTS) : undefined,
    ...(reverse ? { exitProxy, udpTimeoutMs, dialRules: rules } : { socks, entryRules: rules }),
  }
  return { options, notices: [...passedNotices(settings, passed), ...noticesOf(settings, reverse, tls)] }
}

/** Of a mistake nobody would hear otherwise. @throws {LinkSocksError} ERR_OPTION */
function checkPassed(reverse: boolean, { sockets }: PassedSockets = NOTHING_PASSED): void {
  if (reverse && sockets.length > 0)
    throw optionError('LISTEN_FDS', 'a provider has no proxy port, and takes no socket')
  const other = sockets.find(({ name }) => name !== 'socks' && name !== 'main')
  if (other === undefined) return
  throw optionError(
    'LISTEN_FDNAMES',
    `${other.name} is for servers: the socket of a client is named socks, or not at all`,
  )
}

/** Flags and variables in whose place a socket was passed. */
function passedNotices(settings: Settings, { sockets, notices }: PassedSockets = NOTHING_PASSED): readonly Notice[] {
  const replaced = sockets.length > 0 ? [flags.SOCKS_HOST, flags.SOCKS_PORT] : []
  return [...notices, ...replacedBySockets(settings, replaced)]
}

/** Each occurrence of the flag, or what the variable holds, separated by spaces. */
function readUrls(settings: Settings): string | readonly string[] | undefined {
  const given = settings.values(SERVER_URL, parseUrl)
  const urls = given.length > 0 ? given : settings.value(SERVER_URL, (text) => text.split(/\s+/).map(parseUrl))
  return urls?.length === 1 ? urls[0] : urls
}

async function readSocks(settings: Settings, { sockets }: PassedSockets = NOTHING_PASSED): Promise<SocksListenOptions> {
  const host = settings.value(flags.SOCKS_HOST, parseHost)
  const port = settings.value(flags.SOCKS_PORT, parsePort)
  return {
    ...(sockets.length > 0 ? { sockets: sockets.map(({ fd }) => fd) } : { host, port }),
    ...(await readCredentials(settings)),
    nowait: settings.enabled(flags.SOCKS_NOWAIT) || settings.enabled(flags.SOCKS_NO_WAIT),
    ...readProxyPort(settings),
  }
}

function readHeaders(settings: Settings): Readonly<Record<string, string>> {
  const headers = settings.values(HEADER, parseHeader)
  const names = headers.map(([name]) => name.toLowerCase())
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw optionError('--header', `'${twice}' is given twice`)
  return Object.fromEntries(headers)
}

function noticesOf(settings: Settings, reverse: boolean, tls: TlsOptions): readonly Notice[] {
  const notices: Notice[] = []
  if (reverse) {
    notices.push(...ignoredIfGiven(settings, LISTENER_FLAGS, 'a provider has no proxy port'))
  } else {
    const reason = 'only the way out uses it; to reach the server through a proxy give --server-proxy'
    notices.push(...ignoredIfGiven(settings, [flags.UPSTREAM_PROXY], reason))
    notices.push(...ignoredIfGiven(settings, [flags.UDP_TIMEOUT, flags.ALLOW_OWN_PORTS], 'only the way out uses it'))
  }
  notices.push(...deployedNotices(settings))
  if (tls.insecure === true && tls.pinSha256 === undefined) {
    const reason = "--insecure: the server's certificate is not checked"
    notices.push({ level: 'warn', event: 'tls.unchecked', fields: { reason } })
  }
  return notices
}
