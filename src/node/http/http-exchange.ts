import type { IncomingMessage, ServerResponse } from 'node:http'
import { Refusal } from '../../api/request/answers.js'
import { requestBody } from './http-body.js'

/** How long a client may leave an answer unread. */
export const RESPONSE_STALL_MS = 30_000

/** Methods the API knows; named in `Allow` where a request can't even be handed to it. */
export const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** Methods that a Request refuses to hold (Fetch standard, forbidden methods). */
const FORBIDDEN_METHODS = new Set(['CONNECT', 'TRACE', 'TRACK'])
/** RFC 3986 section 3.2 without user information: what a Host field may be. */
const HOST = /^(?:\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]+)(?::\d{1,5})?$/i

/** A request target as the wire has it, one character per byte. */
export interface RawTarget {
  readonly path: string
  /** Without the question mark. */
  readonly query: string
}

/** Splits the origin form and the absolute form of a request target (RFC 9112 section 3.2). */
export function rawTarget(target: string): RawTarget {
  const relative = target.replace(/^https?:\/\/[^/?#]*/i, '')
  const [beforeFragment = ''] = relative.split('#', 1)
  const at = beforeFragment.indexOf('?')
  const path = at === -1 ? beforeFragment : beforeFragment.slice(0, at)
  return { path: path === '' ? '/' : path, query: at === -1 ? '' : beforeFragment.slice(at + 1) }
}

export interface RequestOptions {
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal
  /** Called once, when the body is asked for (`Expect: 100-continue`). */
  readonly onRead: () => void
}

/** @returns a refusal for what a Request can't hold: forbidden methods, a broken Host, GET and HEAD with a body */
export function toRequest(message: IncomingMessage, { signal, onRead }: RequestOptions): Request | Refusal {
  const method = message.method ?? 'GET'
  if (FORBIDDEN_METHODS.has(method)) return new Refusal(405, 'method not allowed', { Allow: ALLOWED_METHODS })
  const host = message.headers.host ?? 'localhost'
  if (!HOST.test(host)) return new Refusal(400, 'invalid Host header')
  const withBody = hasBody(message)
  if (withBody && (method === 'GET' || method === 'HEAD')) return new Refusal(400, `a ${method} request has no body`)
  const { path, query } = rawTarget(message.url ?? '/')
  try {
    return new Request(new URL(`http://${host}${path.startsWith('/') ? path : '/'}${query && `?${query}`}`), {
      method,
      headers: fields(message.rawHeaders),
      signal,
      ...(withBody ? { body: requestBody(message, onRead), duplex: 'half' as const } : {}),
    })
  } catch {
    return new Refusal(400, 'invalid request')
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function fields(rawHeaders: readonly string[]): Headers {
  const headers = new Headers()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.append(rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '')
  return headers
}

/** Writes status, fields and body, as fast as the client reads; leaves the response open. Settles when all was given out. */
export async function writeResponse(
  response: Response,
  out: ServerResponse,
  stallMs: number = RESPONSE_STALL_MS,
): Promise<void> {
  out.statusCode = response.status
  out.setHeaders(response.headers)
  out.flushHeaders()
  if (response.body === null || out.req.method === 'HEAD') return
  for await (const chunk of response.body) {
    if (out.destroyed) return
    if (!out.write(chunk)) await drained(out, stallMs)
  }
}

/** Until the client has read on, or is gone; one that reads nothing for `stallMs` is gone then. */
function drained(out: ServerResponse, stallMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (out.destroyed) return resolve()
    const timer = setTimeout(() => out.destroy(), stallMs)
    const done = (): void => {
      clearTimeout(timer)
      out.off('drain', done).off('close', done)
      resolve()
    }
    out.on('drain', done).on('close', done)
  })
}
