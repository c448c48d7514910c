import { LinkSocksError } from '../../errors.js'
import { parseServerUrl } from '../../protocol/handshake.js'
import { ID_TEXT, isLabel, MAX_LABEL_BYTES } from '../../relay/tokens/token-text.js'
import { NO_ENV_PROXY, SERVER_PROXY } from '../settings/client-flags.js'
import { type Environment, optionError, type Settings } from '../settings/environment.js'
import { longName } from '../settings/flags.js'
import { readTls } from '../settings/tls.js'
import { invalid, parseApiKey, parseDuration, parseProxy } from '../settings/values.js'
import type { ApiAccess } from './api-client.js'
import { API_KEY, API_KEY_FILE, API_URL, DEFAULT_API_URL, EXPIRES_AT, EXPIRES_IN, TIMEOUT } from './manage-flags.js'
import type { ManageCommand } from './task.js'

const DEFAULT_TIMEOUT_MS = 10_000
const MIN_TIMEOUT_MS = 100
/** Longest time that a token can be given by --expires-in: 10 years. */
const MAX_EXPIRY_MS = 10 * 366 * 86_400_000

/** @throws {LinkSocksError} ERR_OPTION naming the flag or variable */
export async function readAccess(settings: Settings, env: Environment): Promise<ApiAccess> {
  const key = await settings.secret(API_KEY, parseApiKey, API_KEY_FILE)
  if (key === undefined) {
    throw optionError('--api-key', 'is needed, or --api-key-file, LINKSOCKS_API_KEY or LINKSOCKS_API_KEY_FILE')
  }
  return {
    url: settings.value(API_URL, parseApiUrl) ?? DEFAULT_API_URL,
    key,
    keySource: settings.source(API_KEY, API_KEY_FILE) ?? longName(API_KEY),
    timeoutMs: settings.value(TIMEOUT, (text) => parseDuration(text, MIN_TIMEOUT_MS)) ?? DEFAULT_TIMEOUT_MS,
    serverProxy: settings.value(SERVER_PROXY, parseProxy),
    proxyEnv: settings.enabled(NO_ENV_PROXY) ? undefined : env,
    tls: await readTls(settings),
  }
}

/** The http or https URL that the API's paths are appended to; takes what clients take as the server's address. */
function parseApiUrl(text: string): string {
  const url = new URL(parseServerUrl(text).url)
  if (url.search !== '') throw new LinkSocksError('ERR_OPTION', 'must have no ?query')
  const protocol = url.protocol === 'wss:' ? 'https:' : 'http:'
  return `${protocol}//${url.host}${url.pathname.replace(/\/socket$/, '').replace(/\/+$/, '')}`
}

/** The URL for clients of the server whose API is at `apiUrl`; `SERVER` stands for a name only this machine knows. */
export function clientUrl(apiUrl: string): string {
  const { protocol, hostname, port, pathname } = new URL(apiUrl)
  const local = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
  const host = `${local ? 'SERVER' : hostname}${port === '' ? '' : `:${port}`}`
  const path = pathname === '/' ? '' : `${pathname}/socket`
  return `${protocol === 'https:' ? 'wss:' : 'ws:'}//${host}${path}`
}

/** @throws {LinkSocksError} ERR_OPTION that does not repeat `word`, which may be a secret */
export function checkTokenId(command: ManageCommand, word: string): void {
  if (ID_TEXT.test(word)) return
  throw optionError(command, 'a token is named by its id, 24 hex digits; linksocks token list shows them')
}

export function unknownId(id: string): LinkSocksError {
  return new LinkSocksError('ERR_HTTP', `${id}: the server knows no token with this id`)
}

/** 1 to 200 bytes of UTF-8 without control characters. */
export function parseLabel(text: string): string {
  if (isLabel(text)) return text
  throw invalid(`1 to ${MAX_LABEL_BYTES} bytes without control characters`)
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/

/** An RFC 3339 time in the future, in any zone; as the API wants it. */
function parseTime(text: string, now: number): string {
  const time = RFC_3339.test(text) ? Date.parse(text.replace(' ', 'T').toUpperCase()) : Number.NaN
  if (Number.isNaN(time)) throw invalid('a time such as 2030-01-31T12:00:00Z or 2030-01-31T12:00:00+01:00', text)
  if (time <= now) throw invalid('in the future', text)
  return new Date(time).toISOString()
}

const UNIT_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 }

/** The time after `30d`, `12h` or `1d12h`, at most 10 years, as the API wants it. */
function parseExpiry(text: string, now: number): string {
  let total = 0
  if (/^(\d{1,6}[dhms])+$/.test(text)) {
    for (const [, count, unit] of text.matchAll(/(\d+)([dhms])/g)) total += Number(count) * (UNIT_MS[unit ?? ''] ?? 0)
  }
  if (total <= 0 || total > MAX_EXPIRY_MS) throw invalid('a time such as 30d, 12h or 1d12h, at most 10 years', text)
  return new Date(now + total).toISOString()
}

/** What --expires-at or --expires-in say. @throws {LinkSocksError} ERR_OPTION */
export function readExpiry(settings: Settings): string | undefined {
  const now = Date.now()
  if (settings.given(EXPIRES_AT) && settings.given(EXPIRES_IN)) {
    throw optionError('--expires-in', 'cannot be combined with --expires-at')
  }
  return (
    settings.value(EXPIRES_AT, (text) => parseTime(text, now)) ??
    settings.value(EXPIRES_IN, (text) => parseExpiry(text, now))
  )
}
