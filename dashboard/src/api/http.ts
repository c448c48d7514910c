import type { NewToken, Question, ServerInfo, Token, TokenChange, Usage, Verdict } from './types.js'

/** The relay's own words for what went wrong; status 0 when it could not be reached. */
export class ApiError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export interface Page<T> {
  readonly rows: readonly T[]
  readonly next: string | null
  readonly total: number
}

const BASE = new URL('../api/', document.baseURI)
/** Longest wait for an answer to a single call. */
const TIMEOUT_MS = 20_000

function reasonOf(body: unknown, status: number): string {
  if (typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'string') return body.error
  return `HTTP ${status}`
}

async function failureOf(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => undefined)
  return new ApiError(response.status, reasonOf(body, response.status))
}

/** Calls the API with one key. */
export class Api {
  readonly #key: string
  /** Told when the key is no longer accepted. */
  readonly #refused: () => void

  constructor(key: string, refused: () => void = () => {}) {
    this.#key = key
    this.#refused = refused
  }

  server(): Promise<ServerInfo> {
    return this.#json('GET', 'server')
  }

  token(id: string): Promise<Token> {
    return this.#json('GET', `tokens/${encodeURIComponent(id)}`)
  }

  /** @returns the new token, or undefined when it was added and can't be read. @throws {ApiError} when it was not added */
  async addToken(token: NewToken): Promise<Token | undefined> {
    const response = await this.#call('POST', 'token', token)
    const id = response.headers.get('location')?.split('/').at(-1)
    return id === undefined ? undefined : await this.token(id).catch(() => undefined)
  }

  changeToken(id: string, change: TokenChange): Promise<Token> {
    return this.#json('PATCH', `tokens/${encodeURIComponent(id)}`, change)
  }

  /** Whether a token may go to a destination under a policy that needn't be saved. */
  check(id: string, question: Question): Promise<Verdict> {
    return this.#json('POST', `tokens/${encodeURIComponent(id)}/check`, question)
  }

  usage(id: string): Promise<Usage> {
    return this.#json('GET', `tokens/${encodeURIComponent(id)}/usage`)
  }

  /** Begins counting the quota of a token from zero. */
  resetUsage(id: string): Promise<Usage> {
    return this.#json('POST', `tokens/${encodeURIComponent(id)}/usage/reset`)
  }

  async removeToken(id: string): Promise<void> {
    await this.#call('DELETE', `tokens/${encodeURIComponent(id)}`)
  }

  async disconnect(clientId: string): Promise<void> {
    await this.#call('DELETE', `clients/${encodeURIComponent(clientId)}`)
  }

  /** One page of a list; the answer holds the rows under the list's name. */
  async page<T>(list: 'tokens' | 'clients' | 'streams', query: Readonly<Record<string, string>>): Promise<Page<T>> {
    const body = await this.#json<{ next: string | null; total: number } & Record<string, unknown>>(
      'GET',
      `${list}?${new URLSearchParams(query)}`,
    )
    return { rows: body[list] as readonly T[], next: body.next, total: body.total }
  }

  /** Opens the stream of events. @throws {ApiError} */
  async events(types: string, lastId: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (lastId !== '') headers['last-event-id'] = lastId
    const response = await this.#send('GET', `events?types=${types}`, { headers, signal })
    if (response.body === null) throw new ApiError(response.status, 'no body')
    return response.body
  }

  async #json<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await this.#call(method, path, body)
    return (await response.json()) as T
  }

  #call(method: string, path: string, body?: object): Promise<Response> {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    if (body === undefined) return this.#send(method, path, { signal })
    const headers = { 'content-type': 'application/json' }
    return this.#send(method, path, { signal, headers, body: JSON.stringify(body) })
  }

  async #send(method: string, path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers)
    headers.set('x-api-key', this.#key)
    const request = { ...init, method, headers, cache: 'no-store', credentials: 'omit', redirect: 'error' } as const
    const response = await fetch(new URL(path, BASE), request).catch((error: unknown) => {
      throw new ApiError(0, error instanceof Error ? error.message : 'no answer')
    })
    if (response.ok) return response
    if (response.status === 401) this.#refused()
    throw await failureOf(response)
  }
}
