import { AccessList, parseAccessRule } from '../../exit/dial/access-rules.js'
import type { LogFields } from '../../log.js'
import { MIN_PING_MS, MIN_RESUME_MS, type PingOptions, pingTimes, type ResumeOptions } from '../../node/link-options.js'
import type { CloseOptions, ProxyPortOptions } from '../../node/options.js'
import type { AccessRule } from '../../ports.js'
import { optionError, type Settings } from './environment.js'
import {
  ACCESS_RULE,
  DRAIN_IDLE,
  DRAIN_TIMEOUT,
  type Flag,
  longName,
  NO_RESUME,
  PAC_HOST,
  PING_INTERVAL,
  PING_TIMEOUT,
  PROXY_PROTOCOLS,
  RESUME_TIMEOUT,
  SOCKS_PASSWORD,
  SOCKS_USERNAME,
  UDP_STRICT_PORT,
} from './flags.js'
import { parseCredential, parseDuration, parsePacHost, parsePacHosts, parseProxyProtocols } from './values.js'

/** Less than what service managers wait before they kill. */
const DEFAULT_DRAIN_MS = 8_000
/** 0 would read as no limit. */
const MIN_DRAIN_IDLE_MS = 100

/** A line for the log. */
export interface Notice {
  readonly level: 'info' | 'warn'
  readonly event: string
  readonly fields: LogFields
}

/** What a command line came to: options for the library, and what its user should read. */
export interface Plan<Options> {
  readonly options: Options
  /** Logged before anything starts. */
  readonly notices: readonly Notice[]
}

/** Says that `flag` was given for nothing. */
export function ignored(flag: Flag, reason: string): Notice {
  return { level: 'warn', event: 'option.ignored', fields: { option: longName(flag), reason } }
}

/** An {@link ignored} notice for each of `flags` that stands on the command line. */
export function ignoredIfGiven(settings: Settings, flags: readonly Flag[], reason: string): readonly Notice[] {
  return flags.filter((flag) => settings.given(flag)).map((flag) => ignored(flag, reason))
}

/** @throws {LinkSocksError} ERR_OPTION: a link whose far end answers every ping would be given up */
export function readPings(settings: Settings): PingOptions {
  const read = (flag: Flag): number | undefined => settings.value(flag, (text) => parseDuration(text, MIN_PING_MS))
  const pings = { pingIntervalMs: read(PING_INTERVAL), pingTimeoutMs: read(PING_TIMEOUT) }
  try {
    pingTimes(pings)
  } catch (cause) {
    throw optionError(longName(PING_TIMEOUT), `must be longer than ${longName(PING_INTERVAL)}`, cause)
  }
  return pings
}

export function readResume(settings: Settings): ResumeOptions {
  return {
    resume: settings.enabled(NO_RESUME) ? false : undefined,
    resumeTimeoutMs: settings.value(RESUME_TIMEOUT, (text) => parseDuration(text, MIN_RESUME_MS)),
  }
}

export function readProxyPort(settings: Settings): ProxyPortOptions {
  const pacHosts = settings.values(PAC_HOST, parsePacHost)
  return {
    proxyProtocols: settings.value(PROXY_PROTOCOLS, parseProxyProtocols),
    pacHosts: pacHosts.length > 0 ? pacHosts : settings.value(PAC_HOST, parsePacHosts),
    udpStrictPort: settings.enabled(UDP_STRICT_PORT) || undefined,
  }
}

/** `drainMs` 0: no waiting. */
export function readDrain(settings: Settings): CloseOptions & { readonly drainMs: number } {
  return {
    drainMs: settings.value(DRAIN_TIMEOUT, (text) => parseDuration(text, 0)) ?? DEFAULT_DRAIN_MS,
    drainIdleMs: settings.value(DRAIN_IDLE, (text) => parseDuration(text, MIN_DRAIN_IDLE_MS)),
  }
}

/** @returns `undefined` when none is given. @throws {LinkSocksError} ERR_OPTION, in the deployed words */
export function readAccessRules(settings: Settings): readonly AccessRule[] | undefined {
  const rules = settings.values(ACCESS_RULE, (text) => text).map(parseAccessRule)
  return rules.length === 0 ? undefined : new AccessList(rules).rules
}

/** A user name and its password: both, or neither. */
export interface CredentialSettings {
  readonly username: string | undefined
  readonly password: string | undefined
}

/** @throws {LinkSocksError} ERR_OPTION when only one of the two is set: authentication would silently be off */
export async function readCredentials(settings: Settings): Promise<CredentialSettings> {
  const username = settings.value(SOCKS_USERNAME, parseCredential)
  const password = await settings.secret(SOCKS_PASSWORD, parseCredential)
  if ((username === undefined) !== (password === undefined)) {
    const [set, missing] = password === undefined ? [SOCKS_USERNAME, SOCKS_PASSWORD] : [SOCKS_PASSWORD, SOCKS_USERNAME]
    throw optionError(settings.source(set) ?? longName(set), `needs ${longName(missing)} as well`)
  }
  return { username, password }
}
