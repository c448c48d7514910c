import type { IncomingMessage } from 'node:http'

/** Why a head is refused. */
export interface HeadProblem {
  readonly status: number
  readonly text: string
}

/**
 * What Node's parser lets through and a proxy may not (RFC 9112 sections 2.3, 3.2, 6.1 and 6.3): it is refused before anything is dialled.
 * All else that is wrong with the framing (two lengths, a length beside a coding, bare LF, folded fields) the parser refuses itself.
 */
export function headProblem({
  httpVersion,
  method,
  rawHeaders,
  headers,
  url,
}: IncomingMessage): HeadProblem | undefined {
  const refuse = (text: string, status = 400): HeadProblem => ({ status, text })
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return refuse('only HTTP/1.1 and HTTP/1.0 are spoken here', 505)
  const hosts = count(rawHeaders, 'host')
  if (hosts > 1) return refuse('two Host fields')
  if (hosts === 0 && httpVersion === '1.1') return refuse('no Host field')
  const coding = headers['transfer-encoding']
  if (coding !== undefined && httpVersion === '1.0') return refuse('Transfer-Encoding in HTTP/1.0')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return refuse('a transfer coding other than chunked', 501)
  const body = coding !== undefined || headers['content-length'] !== undefined
  if (body && method === 'CONNECT') return refuse('CONNECT has no body')
  if (body && method === 'TRACE') return refuse('TRACE has no body')
  if (/[^\u0021-\u007e]/.test(url ?? '')) return refuse('broken request target')
  return undefined
}

function count(rawHeaders: readonly string[], name: string): number {
  return rawHeaders.filter((field, i) => i % 2 === 0 && field.toLowerCase() === name).length
}

/** Fields that are for one connection alone (RFC 9110 sections 7.6.1 and 11.7), whether Connection names them or not. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/**
 * The fields that go on, in their order, names and values one after the other; those that Connection names are for this hop.
 * @param without more names that don't, in lower case
 */
export function endToEnd(rawHeaders: readonly string[], without: readonly string[] = []): string[] {
  const dropped = new Set([...HOP_BY_HOP, ...connectionNames(rawHeaders), ...without])
  return pairs(rawHeaders)
    .filter(([name]) => !dropped.has(name.toLowerCase()))
    .flat()
}

/** Names of fields, in lower case. What a message can't do without stays whatever Connection says. */
function connectionNames(rawHeaders: readonly string[]): string[] {
  return pairs(rawHeaders)
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.split(','))
    .map((name) => name.trim().toLowerCase())
    .filter((name) => !FRAMING.has(name))
}

/** What frames a message or leads it to its resource. */
const FRAMING = new Set(['content-length', 'host', 'content-encoding', 'content-type', 'content-range', 'trailer'])

/** How much further a request may go, for those methods that are limited (RFC 9110 section 7.6.2). */
export function forwardsLeft({ method, headers }: IncomingMessage): number | undefined {
  const given = String(headers['max-forwards'] ?? '')
  return (method === 'OPTIONS' || method === 'TRACE') && /^\d+$/.test(given) ? Number(given) : undefined
}

/** Fields behind a body that would change how the message before them was read (RFC 9110 section 6.5.1). */
const NO_TRAILERS = new Set([
  ...HOP_BY_HOP,
  ...FRAMING,
  'authorization',
  'cookie',
  'set-cookie',
  'cache-control',
  'expect',
  'max-forwards',
  'range',
])

/** The trailer fields that go on. */
export function trailersOf(rawTrailers: readonly string[]): readonly [string, string][] {
  return pairs(rawTrailers).filter(([name]) => !NO_TRAILERS.has(name.toLowerCase()))
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length >> 1 }, (_, i) => [raw[2 * i] ?? '', raw[2 * i + 1] ?? ''])
}
