import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { HTTP_PORT, parseAuthority } from './proxy-target.js'

/** Why a head is refused. */
export interface HeadProblem {
  readonly status: number
  readonly text: string
}

export const OTHER_VERSION: HeadProblem = { status: 505, text: 'only HTTP/1.1 and HTTP/1.0 are spoken here' }

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
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return OTHER_VERSION
  if (!areWellFormed(rawHeaders)) return refuse('a field that is none')
  const hosts = valuesOf(rawHeaders, 'host')
  if (hosts.length > 1) return refuse('two Host fields')
  if (hosts.some((host) => host !== '' && parseAuthority(host, HTTP_PORT) === undefined))
    return refuse('broken Host field')
  if (hosts.length === 0 && httpVersion === '1.1') return refuse('no Host field')
  const coding = headers['transfer-encoding']
  if (coding !== undefined && httpVersion === '1.0') return refuse('Transfer-Encoding in HTTP/1.0')
  if (coding === '') return refuse('a transfer coding without a name')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return refuse('a transfer coding other than chunked', 501)
  if (method !== undefined && WITHOUT_BODY.has(method) && hasBody(headers)) return refuse(`${method} has no body`)
  if (/[^\u0021-\u007e]/.test(url ?? '')) return refuse('broken request target')
  return undefined
}

/** Methods that have no body (RFC 9110 sections 9.3.6 and 9.3.8). */
const WITHOUT_BODY = new Set(['CONNECT', 'TRACE'])

/** A name of a field (RFC 9110 section 5.6.2), and what its value and a reason may hold. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/
const TEXT = /^[\t\u0020-\u007e\u0080-\u00ff]*$/

/** Whether names and values are what Node would write. Its parser has let others through before 20.19.2. */
function areWellFormed(fields: readonly string[]): boolean {
  return fields.every((text, i) => (i % 2 === 0 ? TOKEN : TEXT).test(text))
}

/** Whether bytes of a body follow a head; some clients give CONNECT a length of 0. */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** What each field of a name, in lower case, says. */
export function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return pairs(rawHeaders)
    .filter(([field]) => field.toLowerCase() === name)
    .map(([, value]) => value)
}

/**
 * Whether the head of an answer can be passed on. What Node's parser lets through is judged here: other versions, other codings
 * (RFC 9112 section 6.1), and what Node would not write: statuses of no class, control bytes in the reason.
 */
export function isPassable(answer: IncomingMessage): boolean {
  const { httpVersion, statusCode = 0, statusMessage = '', headers, rawHeaders } = answer
  if ((httpVersion !== '1.1' && httpVersion !== '1.0') || !areWellFormed(rawHeaders)) return false
  const coding = headers['transfer-encoding']
  if (coding !== undefined && (httpVersion === '1.0' || coding.toLowerCase() !== 'chunked')) return false
  return statusCode >= 200 && statusCode <= 999 && TEXT.test(statusMessage)
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
  return valuesOf(rawHeaders, 'connection')
    .flatMap((value) => value.split(','))
    .map((name) => name.trim().toLowerCase())
    .filter((name) => !FRAMING.has(name))
}

/** What frames a message or leads it to its resource. */
const FRAMING = new Set(['content-length', 'host', 'content-encoding', 'content-type', 'content-range', 'trailer'])

/** As many as a proxy supports (RFC 9110 section 7.6.2). */
const MAX_FORWARDS = 255

/** How much further a request may go, for those methods that are limited (RFC 9110 section 7.6.2). */
export function forwardsLeft({ method, headers }: IncomingMessage): number | undefined {
  const given = String(headers['max-forwards'] ?? '')
  return (method === 'OPTIONS' || method === 'TRACE') && /^\d+$/.test(given)
    ? Math.min(Number(given), MAX_FORWARDS)
    : undefined
}

/** What this hop asks of the next one: trailers, where the client takes them, because they are passed on. */
export function hopFieldsOf({ headers }: IncomingMessage): string[] {
  const trailers = String(headers.te ?? '')
    .split(',')
    .some((coding) => coding.trim().toLowerCase() === 'trailers')
  return trailers ? ['TE', 'trailers', 'Connection', 'TE'] : []
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
  return pairs(rawTrailers).filter((field) => !NO_TRAILERS.has(field[0].toLowerCase()) && areWellFormed(field))
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length >> 1 }, (_, i) => [raw[2 * i] ?? '', raw[2 * i + 1] ?? ''])
}
