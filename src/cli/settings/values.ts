/** Parsers of flag and variable texts. Each throws ERR_OPTION with `must be ...`; the reader names the flag. */

import { isIP } from 'node:net'
import { MAX_PORT } from '../../address.js'
import { API_KEY_FORM, isApiKey } from '../../api/keys.js'
import { LinkSocksError } from '../../errors.js'
import { parseProxyUrl } from '../../exit/proxy/proxy-url.js'
import { PROXY_PROTOCOLS } from '../../inbound/serve-inbound.js'
import { remoteText } from '../../log.js'
import { isPacHost } from '../../node/check-options.js'
import { MAX_DURATION_MS } from '../../node/options.js'
import type { ProxyProtocol } from '../../ports.js'
import { parseServerUrl } from '../../protocol/handshake.js'
import { ANONYMOUS_TOKEN, MAX_STR8_BYTES } from '../../protocol/limits.js'
import { fitsCredential, MAX_CREDENTIAL_BYTES } from '../../socks/codec.js'

/** Longest URL taken. */
const MAX_URL_LENGTH = 2_048
/** Most of a rejected value that an error repeats. */
const SHOWN_LENGTH = 60

const encoder = new TextEncoder()
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

/** The error of a value; `text` is repeated, so that no secret may be given. */
export function invalid(expected: string, text?: string): LinkSocksError {
  if (text === undefined) return new LinkSocksError('ERR_OPTION', `must be ${expected}`)
  const shown = text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}...` : text
  return new LinkSocksError('ERR_OPTION', `must be ${expected}, not '${remoteText(shown)}'`)
}

/** A whole decimal number from `min` to `max`. */
export function parseInteger(text: string, min: number, max: number, what = 'a number'): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max)) throw invalid(`${what} from ${min} to ${max}`, text)
  return value
}

/** `socks5,http`: one or more of {@link PROXY_PROTOCOLS}. */
export function parseProxyProtocols(text: string): readonly ProxyProtocol[] {
  const given = text.split(',').map((name) =>
    name
      .trim()
      .toLowerCase()
      .replace(/^socks4a$/, 'socks4'),
  )
  const known = PROXY_PROTOCOLS.filter((protocol) => given.includes(protocol))
  if (known.length === given.length) return known
  throw invalid(`some of ${PROXY_PROTOCOLS.join(', ')}, each once, with commas between`, text)
}

/** A name as a Host field has it, without a port. */
export function parsePacHost(text: string): string {
  if (isPacHost(text)) return text
  throw invalid('a host name without a port', text)
}

/** Several, with commas or spaces between. */
export function parsePacHosts(text: string): readonly string[] {
  return text
    .split(/[\s,]+/)
    .filter((name) => name !== '')
    .map(parsePacHost)
}

/** 0 leaves the choice of a port to the other side of the option. */
export function parsePort(text: string): number {
  return parseInteger(text, 0, MAX_PORT, 'a port')
}

/** `10000-19999`, both ends included. */
export function parsePortRange(text: string): readonly [number, number] {
  const [, first, last] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? []
  const low = Number(first)
  const high = Number(last)
  if (!(low >= 1 && low <= high && high <= MAX_PORT)) throw invalid(`two ports from 1 to ${MAX_PORT} as LOW-HIGH`, text)
  return [low, high]
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** Milliseconds of `500ms`, `5s`, `1.5m` or `1h30m`; `0` needs no unit. From `minMs` to 24 h. */
export function parseDuration(text: string, minMs: number): number {
  let total = text === '0' ? 0 : Number.NaN
  if (/^(\d{1,9}(\.\d{1,3})?(ms|s|m|h))+$/.test(text)) {
    total = 0
    for (const [, count, unit] of text.matchAll(/([\d.]+)(ms|s|m|h)/g)) {
      total += Number(count) * (UNIT_MS[unit ?? ''] ?? Number.NaN)
    }
  }
  if (total >= minMs && total <= MAX_DURATION_MS) return Math.round(total)
  throw invalid(`a duration from ${minMs / 1_000}s to 24h such as 500ms, 5s or 30m`, text)
}

const DECIMAL_UNITS: readonly (readonly [unit: string, bytes: number])[] = [
  ['T', 1e12],
  ['G', 1e9],
  ['M', 1e6],
  ['K', 1e3],
]
const BINARY_UNITS: readonly (readonly [unit: string, bytes: number])[] = [
  ['TiB', 1_024 ** 4],
  ['GiB', 1_024 ** 3],
  ['MiB', 1_024 ** 2],
  ['KiB', 1_024],
]
const UNIT_BYTES: ReadonlyMap<string, number> = new Map(
  [...DECIMAL_UNITS, ...BINARY_UNITS].map(([unit, bytes]) => [unit.toLowerCase(), bytes]),
)

/**
 * Bytes of `65536`, `10M`, `1.5GB` (K is 1,000), `64Ki` or `64KiB` (1,024); units in any case.
 * @param more what else its flag takes, for the message
 */
export function parseSize(text: string, min: number, max: number, more = ''): number {
  // a small b could be meant as bits, but not behind an i
  const [, count, fraction = '', unit = ''] =
    /^(\d{1,16})(\.\d{1,3})?(?:([KMGTkmgt][iI]?)(?:B|(?<=i)b)?)?$/.exec(text) ?? []
  const bytes =
    (unit === '' && fraction === '' ? 1 : UNIT_BYTES.get(unit.toLowerCase().replace('i', 'ib'))) ?? Number.NaN
  const total = Number(count) * bytes + Math.round(Number(`0${fraction}`) * bytes)
  if (total >= min && total <= max) return total
  throw invalid(`a size from ${sizeText(min)} to ${sizeText(max)} such as 500K, 1.5M, 10G or 64MiB${more}`, text)
}

/** The shortest text that {@link parseSize} reads as the same number. */
export function sizeText(bytes: number): string {
  const decimal = DECIMAL_UNITS.filter(([, unit]) => bytes >= unit && bytes % (unit / 1_000) === 0)
  const binary = BINARY_UNITS.filter(([, unit]) => bytes >= unit && bytes % unit === 0)
  const texts = [...decimal, ...binary].map(([name, unit]) => `${bytes / unit}${name}`)
  return [...texts, String(bytes)].reduce((shortest, text) => (text.length < shortest.length ? text : shortest))
}

/** `10.0.0.0/8`, `fd00::/8`, or one address; the result always has a prefix length. */
export function parseCidr(text: string): string {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : 0
  const known = bits > 0 && rest.length === 0 && !address.includes('%')
  if (known && prefix === undefined) return `${address}/${bits}`
  if (!known || !/^\d{1,3}$/.test(prefix ?? '') || Number(prefix) > bits) {
    throw invalid('an address range such as 10.0.0.0/8 or fd00::/8', text)
  }
  return text
}

/** `1`, `true`, `yes`, `on` and their opposites, in any case. */
export function parseBoolean(text: string): boolean {
  if (/^(1|t|true|yes|on)$/i.test(text)) return true
  if (/^(0|f|false|no|off)$/i.test(text)) return false
  throw invalid('true or false', text)
}

/** An address to listen on: IP text (brackets around IPv6 are dropped) or a name. */
export function parseHost(text: string): string {
  const host = /^\[(.+)\]$/.exec(text)?.[1] ?? text
  if (isIP(host) !== 0 || /^[\p{L}\p{N}_.-]{1,253}$/u.test(host)) return host
  throw invalid('a host name or an IP address', text)
}

/** `127.0.0.1:9100` or `[::1]:9100`; port 0 takes a free one. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } {
  const [, host = '', port = ''] = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(text) ?? []
  if (host === '') throw invalid('HOST:PORT such as 127.0.0.1:9100 or [::1]:9100', text)
  return { host: parseHost(host), port: parsePort(port) }
}

/** The relay's address: `host[:port]`, or a URL with ws, wss, http or https. Its text never goes into an error. */
export function parseUrl(text: string): string {
  if (text.length > MAX_URL_LENGTH || /\s/.test(text))
    throw invalid(`at most ${MAX_URL_LENGTH} characters without blanks`)
  parseServerUrl(text)
  return text
}

/** The URL of a proxy, as the library reads it. May hold a password, so its text never goes into an error. */
export function parseProxy(text: string): string {
  parseProxyUrl(text)
  return text
}

/** A token as the server takes it: 1..255 bytes of UTF-8, no control characters, not the reserved word. */
export function parseToken(text: string): string {
  if (text === ANONYMOUS_TOKEN) {
    throw new LinkSocksError('ERR_OPTION', `'${ANONYMOUS_TOKEN}' is reserved and cannot be used as a token`)
  }
  return parseClientToken(text)
}

/** A token as a client sends it: as {@link parseToken}, the reserved word included. */
export function parseClientToken(text: string): string {
  const bytes = encoder.encode(text).byteLength
  if (bytes < 1 || bytes > MAX_STR8_BYTES || CONTROL.test(text)) {
    throw invalid(`1 to ${MAX_STR8_BYTES} bytes without control characters`)
  }
  return text
}

/** A SOCKS5 user name or password: 1..255 bytes (RFC 1929 section 2). */
export function parseCredential(text: string): string {
  if (!fitsCredential(text)) throw invalid(`1 to ${MAX_CREDENTIAL_BYTES} bytes`)
  return text
}

/** A key of the HTTP API, or of the metrics. */
export function parseApiKey(text: string): string {
  if (!isApiKey(text)) throw invalid(API_KEY_FORM)
  return text
}

/** Headers the WebSocket handshake itself sets (RFC 6455 section 4.1) or that would change its framing. */
const OWN_HEADER = /^(connection|upgrade|content-length|transfer-encoding|sec-websocket-.*)$/i

/** `Name: value` (RFC 9110 section 5). The value may be a secret and never goes into an error. */
export function parseHeader(text: string): readonly [name: string, value: string] {
  const colon = text.indexOf(':')
  const name = text.slice(0, Math.max(colon, 0))
  const value = text.slice(colon + 1).trim()
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    throw invalid("'Name: value'")
  }
  if (OWN_HEADER.test(name)) throw invalid('a header that the WebSocket handshake does not set itself', name)
  return [name, value]
}

/** One of a few words. */
export function parseChoice<T extends string>(text: string, choices: readonly T[]): T {
  const choice = choices.find((known) => known === text)
  if (choice === undefined) throw invalid(`${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`, text)
  return choice
}

/** Any text but none at all. */
export function parseText(text: string): string {
  if (text === '') throw new LinkSocksError('ERR_OPTION', 'must not be empty')
  return text
}
