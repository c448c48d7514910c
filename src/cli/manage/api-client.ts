import { withDeadline } from '../../deadline.js'
import { LinkSocksError } from '../../errors.js'
import { remoteText } from '../../log.js'
import { type HttpAnswer, sendRequest } from '../../node/connect/http-client.js'
import type { ServerSocketOptions } from '../../node/connect/server-socket.js'
import { nodeClock } from '../../node/system/clock.js'
import { MIB } from '../../protocol/limits.js'
import { readError, readPage } from './read-answers.js'

/** Bytes one answer may have. */
export const MAX_ANSWER_BYTES = 16 * MIB
/** Bytes all pages of a list may have together. */
export const MAX_LIST_BYTES = 128 * MIB
/** Items asked for at once: the most a server gives. */
const PAGE_SIZE = 1_000
/** Pages of one list. */
export const MAX_PAGES = 1_000

export interface ApiAccess extends ServerSocketOptions {
  /** http or https; a path is put before those of the API, and has no `/` at its end. */
  readonly url: string
  readonly key: string
  /** The flag or variable that holds the key, for messages. */
  readonly keySource: string
  /** Milliseconds one call may take. */
  readonly timeoutMs: number
}

export interface ApiAnswer {
  readonly status: number
  /** `undefined` when it is not JSON. */
  readonly body: unknown
  readonly bytes: number
  readonly location: string | undefined
}

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** So begins the refusal of a server that asks for a certificate, before it looks at any key. */
const NEEDS_CERTIFICATE = 'a client certificate is needed'

/** Speaks to the HTTP API of a running server. */
export class ApiClient {
  readonly #access: ApiAccess
  readonly #signal: AbortSignal

  /** @param signal ends the call under way */
  constructor(access: ApiAccess, signal: AbortSignal) {
    this.#access = access
    this.#signal = signal
  }

  get url(): string {
    return this.#access.url
  }

  /**
   * One call, whatever its status; the caller judges 404.
   * @throws {LinkSocksError} ERR_CONNECT, ERR_LIMIT; ERR_AUTH_REJECTED: the key; ERR_HTTP: every other refusal
   */
  async call(method: Method, path: string, body?: Readonly<Record<string, unknown>>): Promise<ApiAnswer> {
    const answer = toAnswer(await this.#send(method, path, body))
    const ok = answer.status >= 200 && answer.status < 300 && !saysFailure(answer.body)
    if (ok || (answer.status === 404 && !isSwitchedOff(answer))) return answer
    throw this.#refusal(answer)
  }

  /**
   * The body of a successful call.
   * @throws {LinkSocksError} as {@link call}; ERR_HTTP for 404 too
   */
  async get(path: string): Promise<unknown> {
    const answer = await this.call('GET', path)
    if (answer.status === 404) throw this.foreign(answer)
    return answer.body
  }

  /**
   * The body, or `undefined` when the server has no such path: it is an older one.
   * @throws {LinkSocksError} as {@link call}
   */
  async find(path: string): Promise<unknown> {
    const answer = await this.call('GET', path)
    return answer.status === 404 ? undefined : (answer.body ?? null)
  }

  /**
   * All pages of a list, or `undefined` when the server has no such list.
   * @throws {LinkSocksError} as {@link call}; ERR_LIMIT: the list does not end
   */
  async list(path: string, name: string): Promise<readonly unknown[] | undefined> {
    const all: unknown[] = []
    let bytes = 0
    let after = ''
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const answer = await this.call('GET', `${path}?limit=${PAGE_SIZE}${after}`)
      if (answer.status === 404 && pages === 0) return undefined
      const page = readPage(answer.body, name)
      if (page === undefined) throw this.foreign(answer)
      all.push(...page.items)
      if (page.next === null) return all
      bytes += answer.bytes
      if (bytes > MAX_LIST_BYTES) break
      after = `&after=${encodeURIComponent(page.next)}`
    }
    throw new LinkSocksError('ERR_LIMIT', `${this.url}: the list of ${name} does not end`)
  }

  /**
   * As {@link call} about something that the server may not know.
   * @returns `undefined` when it says so
   * @throws {LinkSocksError} as {@link call}; ERR_HTTP: 404 by what is no such server, or too old for the call
   */
  async about(method: Method, path: string, body?: Readonly<Record<string, unknown>>): Promise<ApiAnswer | undefined> {
    const answer = await this.call(method, path, body)
    if (answer.status !== 404) return answer
    const error = readError(answer.body)
    if (error === undefined) throw this.foreign(answer)
    if (error !== 'not found') return undefined
    throw new LinkSocksError('ERR_HTTP', `the server at ${this.url} is too old for this command`)
  }

  /** The error of an answer that no LinkSocks server gives. */
  foreign({ status }: Pick<ApiAnswer, 'status'>): LinkSocksError {
    const what = status === 200 ? 'its answer is of another kind' : `it answered ${status}`
    return new LinkSocksError('ERR_HTTP', `--url: ${this.url} is no LinkSocks server with this API: ${what}`)
  }

  async #send(method: Method, path: string, body: unknown): Promise<HttpAnswer> {
    const { url, key, timeoutMs, ...options } = this.#access
    const late = method === 'GET' ? '' : ': it may have been done all the same'
    const message = `${url} gave no answer within ${timeoutMs / 1_000} s (--timeout)${late}`
    const request = {
      ...options,
      url: `${url}${path}`,
      method,
      headers: { 'x-api-key': key, accept: 'application/json', ...(body === undefined ? {} : JSON_BODY) },
      body: body === undefined ? undefined : JSON.stringify(body),
      maxBytes: MAX_ANSWER_BYTES,
    }
    return withDeadline((signal) => sendRequest(request, { signal }), {
      clock: nodeClock,
      timeoutMs,
      signal: this.#signal,
      expired: () => new LinkSocksError('ERR_CONNECT', message),
    })
  }

  #refusal(answer: ApiAnswer): LinkSocksError {
    const { url, keySource } = this.#access
    const { status } = answer
    const error = readError(answer.body)
    const said = error === undefined ? '' : remoteText(error)
    if (status === 401) return new LinkSocksError('ERR_AUTH_REJECTED', `${keySource}: ${url} refuses this API key`)
    if (status === 403 && error !== undefined) {
      const missing = error.startsWith(NEEDS_CERTIFICATE) ? '--client-cert' : keySource
      return new LinkSocksError('ERR_AUTH_REJECTED', `${missing}: ${said}`)
    }
    if (status >= 300 && status < 400) return new LinkSocksError('ERR_HTTP', redirected(url, answer.location))
    if (error === undefined) return this.foreign(answer)
    return new LinkSocksError('ERR_HTTP', refused(url, status, said))
  }
}

const JSON_BODY = { 'content-type': 'application/json' }

function refused(url: string, status: number, said: string): string {
  switch (status) {
    case 404:
      return `the server at ${url} runs without its API: start it with --api-key`
    case 429:
      return 'the server takes no call from here for now, after too many wrong API keys: wait a minute'
    case 507:
      return "not stored, nothing was changed: the server can't write to its data directory (full disk?)"
    default:
      return `the server refused it: ${said}`
  }
}

function toAnswer({ status, headers, body }: HttpAnswer): ApiAnswer {
  return { status, body: parseJson(body), bytes: body.byteLength, location: headers.location }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

/** Servers of other makes answer failures with 200. */
function saysFailure(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'success' in body && body.success === false
}

function isSwitchedOff({ body }: ApiAnswer): boolean {
  return readError(body) === 'API is not enabled'
}

/** Followed by no call: the key is for the server that was named. */
function redirected(url: string, location: string | undefined): string {
  const to = location !== undefined && URL.canParse(location, url) ? new URL(location, url) : undefined
  const target = to === undefined ? 'another address' : `${to.protocol}//${to.host}`
  return `--url: ${url} redirects to ${remoteText(target)}, which does not get the API key: if that is right, name it instead`
}
