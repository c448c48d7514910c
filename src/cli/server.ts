import { LinkSocksError } from '../errors.js'
import { DEFAULT_SOCKS_PORT, type ServerOptions } from '../node/options.js'
import { nodeCrypto } from '../node/system/crypto.js'
import type { AccessRule } from '../ports.js'
import type { TokenSpec } from '../relay/tokens/token-spec.js'
import { generateToken } from '../relay/tokens/token-text.js'
import { apiNotices, hasApi, readApiOptions } from './server-api.js'
import { passedPorts, readListen, socketNotices } from './server-listen.js'
import { deployedNotices } from './settings/deployed-flags.js'
import { optionError, type Settings } from './settings/environment.js'
import * as flags from './settings/flags.js'
import type { PassedSockets } from './settings/passed-sockets.js'
import {
  type CredentialSettings,
  ignored,
  ignoredIfGiven,
  type Notice,
  type Plan,
  readAccessRules,
  readCredentials,
  readPings,
  readProxyPort,
  readResume,
} from './settings/plan.js'
import {
  ACCESS_RULE,
  BUFFER_SIZE,
  CONNECTOR_AUTONOMY,
  CONNECTOR_TOKEN,
  CONNECTOR_WAIT,
  PORT_RANGE,
  REVERSE,
  SOCKS_PORT,
  TOKEN,
  TRUSTED_PROXY,
} from './settings/server-flags.js'
import {
  parseCidr,
  parseDuration,
  parseHost,
  parsePort,
  parsePortRange,
  parseProxy,
  parseToken,
} from './settings/values.js'

/** What decides which tokens the server begins with. */
interface TokenSettings extends CredentialSettings {
  readonly reverse: boolean
  readonly autonomy: boolean
  readonly token: string | undefined
  readonly connectorTokens: readonly string[]
  /** Whether tokens can be added by the API. */
  readonly api: boolean
  /** 0: any of the range. */
  readonly socksPort: number
  /** Of the reverse token's port, or of what forward clients reach. */
  readonly rules: readonly AccessRule[] | undefined
}

export interface ServerPlan extends Plan<ServerOptions> {
  /** Logged once the server listens: generated tokens, whole, for there is no other way to learn them. */
  readonly announcements: readonly Notice[]
}

/** @throws {LinkSocksError} ERR_OPTION naming the flag or variable */
export async function planServer(settings: Settings, passed?: PassedSockets): Promise<ServerPlan> {
  const api = await readApiOptions(settings)
  const wanted = await readTokenSettings(settings, hasApi(api))
  checkTokenSettings(settings, wanted)
  const { specs, announcements } = planTokens(wanted)
  const options: ServerOptions = {
    ...readListen(settings, passed),
    tokens: specs,
    ...api,
    ...passedPorts(passed),
    socksHost: settings.value(flags.SOCKS_HOST, parseHost),
    socksNowait: settings.enabled(flags.SOCKS_NOWAIT) || settings.enabled(flags.SOCKS_NO_WAIT),
    ...readProxyPort(settings),
    portRange: settings.value(PORT_RANGE, parsePortRange),
    connectorWaitMs: settings.value(CONNECTOR_WAIT, (text) => parseDuration(text, 0)),
    trustedProxies: settings.values(TRUSTED_PROXY, parseCidr),
    fastOpen: settings.enabled(flags.FAST_OPEN),
    ...readPings(settings),
    ...readResume(settings),
    exitProxy: await settings.secret(flags.UPSTREAM_PROXY, parseProxy),
    udpTimeoutMs: settings.value(flags.UDP_TIMEOUT, (text) => parseDuration(text, 1_000)),
    allowOwnPorts: settings.enabled(flags.ALLOW_OWN_PORTS),
    dialRules: wanted.reverse ? undefined : wanted.rules,
  }
  const notices = [...socketNotices(settings, passed), ...noticesOf(settings, wanted), ...apiNotices(settings, api)]
  return { options, notices, announcements }
}

/** In the deployed words. */
const RULES_BY_API = '--access-rule is not allowed in API server mode; configure access control through the HTTP API'

async function readTokenSettings(settings: Settings, api: boolean): Promise<TokenSettings> {
  return {
    reverse: settings.enabled(REVERSE),
    autonomy: settings.enabled(CONNECTOR_AUTONOMY),
    token: await settings.secret(TOKEN, parseToken, flags.TOKEN_FILE),
    connectorTokens: await settings.secrets(CONNECTOR_TOKEN, parseToken),
    api,
    socksPort: settings.value(SOCKS_PORT, parsePort) ?? DEFAULT_SOCKS_PORT,
    rules: readAccessRules(settings),
    ...(await readCredentials(settings)),
  }
}

function checkTokenSettings(settings: Settings, wanted: TokenSettings): void {
  if (wanted.api && wanted.rules !== undefined) throw new LinkSocksError('ERR_OPTION', RULES_BY_API)
  const autonomy = wanted.autonomy ? settings.source(CONNECTOR_AUTONOMY) : undefined
  const connector = settings.source(CONNECTOR_TOKEN)
  const first = connector ?? autonomy
  if (first !== undefined && !wanted.reverse) throw optionError(first, 'needs --reverse (-r)')
  if (connector === undefined) return
  if (autonomy !== undefined) {
    throw optionError(connector, `cannot be combined with ${autonomy}: there the providers bring connector tokens`)
  }
  if (wanted.token === undefined && wanted.api) {
    throw optionError(connector, 'needs --token: with --api-key no token is generated')
  }
  const all = [wanted.token, ...wanted.connectorTokens]
  if (new Set(all).size < all.length) throw optionError(connector, 'each token must differ from the others')
}

interface TokenPlan {
  readonly specs: readonly TokenSpec[]
  /** The generated ones. */
  readonly announcements: readonly Notice[]
}

function planTokens(wanted: TokenSettings): TokenPlan {
  const generate = !wanted.api
  if (wanted.token === undefined && !generate) return { specs: [], announcements: [] }
  const announcements: Notice[] = []
  const create = (type: TokenSpec['type']): string => {
    const token = generateToken(nodeCrypto)
    announcements.push({ level: 'info', event: 'token.generated', fields: { type, token } })
    return token
  }
  if (!wanted.reverse) return { specs: [{ type: 'forward', token: wanted.token ?? create('forward') }], announcements }
  const reverseToken = wanted.token ?? create('reverse')
  const alone = wanted.connectorTokens.length === 0 && !wanted.autonomy
  const connectorTokens = alone && generate ? [create('connector')] : wanted.connectorTokens
  const connectors = connectorTokens.map((token) => ({ type: 'connector', token, reverseToken }) as const)
  return { specs: [reverseSpec(reverseToken, wanted), ...connectors], announcements }
}

function reverseSpec(token: string, { autonomy, socksPort, username, password, rules }: TokenSettings): TokenSpec {
  if (autonomy) return { type: 'reverse', token, allowManageConnector: true }
  return { type: 'reverse', token, port: socksPort === 0 ? undefined : socksPort, username, password, rules }
}

function noticesOf(settings: Settings, wanted: TokenSettings): readonly Notice[] {
  const notices: Notice[] = []
  const ownPort = [SOCKS_PORT, flags.SOCKS_USERNAME, flags.SOCKS_PASSWORD]
  if (settings.given(BUFFER_SIZE)) {
    notices.push({ ...ignored(BUFFER_SIZE, 'buffers follow the connection'), level: 'info' })
  }
  if (!wanted.reverse) {
    notices.push(...ignoredIfGiven(settings, ownPort, 'without --reverse this server has no proxy port of its own'))
  } else if (wanted.token === undefined && wanted.api) {
    const reason = 'with --api-key no token is generated: name one by --token, or add it by the API'
    notices.push(...ignoredIfGiven(settings, [REVERSE, CONNECTOR_AUTONOMY, ...ownPort], reason))
  } else if (wanted.autonomy) {
    notices.push(...ignoredIfGiven(settings, [...ownPort, ACCESS_RULE], 'an autonomy token has no proxy port'))
  }
  if (!wanted.api) notices.push(...withoutEffect(settings, wanted))
  notices.push(...deployedNotices(settings))
  return notices
}

/** Flags for another kind of token than the one there is; with an API key there may be others. */
function withoutEffect(settings: Settings, { reverse, autonomy }: TokenSettings): readonly Notice[] {
  const listener = [
    flags.SOCKS_HOST,
    flags.SOCKS_NOWAIT,
    flags.SOCKS_NO_WAIT,
    flags.PROXY_PROTOCOLS,
    flags.PAC_HOST,
    flags.UDP_STRICT_PORT,
    PORT_RANGE,
    flags.FAST_OPEN,
  ]
  const exit = [flags.UPSTREAM_PROXY, flags.UDP_TIMEOUT, flags.ALLOW_OWN_PORTS]
  if (!reverse) return ignoredIfGiven(settings, [...listener, CONNECTOR_WAIT], 'it is for reverse mode (--reverse)')
  return [
    ...ignoredIfGiven(settings, exit, 'the way out is at the providers: give it to them'),
    ...ignoredIfGiven(settings, autonomy ? listener : [], 'an autonomy token has no proxy port'),
  ]
}
