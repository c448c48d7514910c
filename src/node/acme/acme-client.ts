import type { KeyObject } from 'node:crypto'
import { untilAborted, withDeadline } from '../../deadline.js'
import type { AbortOptions, Clock } from '../../ports.js'
import { KIB } from '../../protocol/limits.js'
import { packageVersion } from '../system/package-version.js'
import { AcmeProblem, problemText } from './acme-problem.js'
import { signedBody } from './jws.js'
import { MAX_RETRY_AFTER_MS } from './renewal.js'

/** From a request to the end of its answer. */
const REQUEST_TIMEOUT_MS = 30_000
const MAX_ANSWER_BYTES = 1_024 * KIB
/** How often a request is sent whose nonce was refused (RFC 8555 section 6.5). */
const MAX_NONCE_TRIES = 8

/** Where an authority takes requests (RFC 8555 section 7.1.1). */
interface Directory {
  readonly newNonce: string
  readonly newAccount: string
  readonly newOrder: string
  readonly needsExternalAccount: boolean
}

export interface AcmeAnswer {
  /** JSON, or text where it is a certificate. */
  readonly body: unknown
  readonly location: string | undefined
  /** Milliseconds after which to ask again. */
  readonly retryAfterMs: number | undefined
}

export interface AcmeAccount {
  /** EC P-256. */
  readonly key: KeyObject
  /** Its URL; `undefined` before it was made. */
  kid: string | undefined
}

/** What Node's `fetch` does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface AcmeClientOptions {
  /** URL of the directory. */
  readonly directory: string
  readonly account: AcmeAccount
  readonly clock: Clock
  /** @default Node's */
  readonly fetch?: Fetch | undefined
}

/**
 * The requests of RFC 8555 to one authority, each signed by one account.
 *
 * Every method throws {@link AcmeProblem}, and the reason of its signal.
 */
export class AcmeClient {
  readonly #options: AcmeClientOptions
  #directory: Directory | undefined
  /** The newest one: the authority may forget those before. */
  #nonce: string | undefined

  constructor(options: AcmeClientOptions) {
    this.#options = options
  }

  get account(): AcmeAccount {
    return this.#options.account
  }

  /** Makes the account, or finds it by its key (section 7.3). */
  async register(email: string | undefined, options: AbortOptions): Promise<void> {
    const { newAccount, needsExternalAccount } = await this.#find(options)
    if (needsExternalAccount)
      throw new AcmeProblem('the authority gives accounts by hand only (external account binding)')
    const contact = email === undefined ? {} : { contact: [`mailto:${email}`] }
    const { location } = await this.#post(newAccount, { termsOfServiceAgreed: true, ...contact }, true, options)
    if (location === undefined) throw new AcmeProblem('the authority made an account without a URL')
    this.account.kid = location
  }

  async newOrder(domain: string, options: AbortOptions): Promise<AcmeAnswer> {
    // read again for each order: in the months between two the authority may have moved
    this.#directory = undefined
    const { newOrder } = await this.#find(options)
    return this.#post(newOrder, { identifiers: [{ type: 'dns', value: domain }] }, false, options)
  }

  /** @param payload `undefined` to read only */
  async request(url: string, payload: object | undefined, options: AbortOptions): Promise<AcmeAnswer> {
    return this.#post(url, payload, false, options)
  }

  async #find(options: AbortOptions): Promise<Directory> {
    this.#directory ??= directoryOf((await this.#fetch(this.#options.directory, { method: 'GET' }, options)).body)
    return this.#directory
  }

  async #post(url: string, payload: object | undefined, isNew: boolean, options: AbortOptions): Promise<AcmeAnswer> {
    for (let tries = 1; ; tries += 1) {
      const nonce = this.#takeNonce() ?? (await this.#newNonce(options))
      const { key, kid } = this.account
      const body = signedBody(key, { nonce, url, kid: isNew ? undefined : kid }, payload)
      try {
        return await this.#fetch(url, { method: 'POST', body }, options)
      } catch (thrown) {
        if (!(thrown instanceof AcmeProblem) || thrown.type !== 'badNonce' || tries === MAX_NONCE_TRIES) throw thrown
      }
    }
  }

  async #newNonce(options: AbortOptions): Promise<string> {
    const { newNonce } = await this.#find(options)
    await this.#fetch(newNonce, { method: 'HEAD' }, options)
    const nonce = this.#takeNonce()
    if (nonce === undefined) throw new AcmeProblem('the authority gives no nonce')
    return nonce
  }

  /** Each is good for one request. */
  #takeNonce(): string | undefined {
    const nonce = this.#nonce
    this.#nonce = undefined
    return nonce
  }

  async #fetch(url: string, init: ShortRequest, { signal }: AbortOptions): Promise<AcmeAnswer> {
    if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
      throw new AcmeProblem('the authority names a URL without TLS')
    const late = `no answer within ${REQUEST_TIMEOUT_MS / 1_000} s`
    // a body that is read does not always hear of an abort
    return withDeadline((deadline) => untilAborted(this.#exchange(url, init, deadline), deadline), {
      ...{ clock: this.#options.clock, timeoutMs: REQUEST_TIMEOUT_MS, signal },
      expired: () => unreachable(url, late),
    })
  }

  async #exchange(url: string, init: ShortRequest, signal: AbortSignal): Promise<AcmeAnswer> {
    const { fetch = globalThis.fetch } = this.#options
    try {
      const response = await fetch(url, {
        ...{ ...init, redirect: 'error', signal },
        headers: {
          'User-Agent': `linksocks/${packageVersion()}`,
          ...(init.body !== undefined && { 'Content-Type': 'application/jose+json' }),
        },
      })
      const nonce = response.headers.get('replay-nonce')
      if (nonce !== null && /^[\w-]{1,512}$/.test(nonce)) this.#nonce = nonce
      return await answerOf(response)
    } catch (cause) {
      if (cause instanceof AcmeProblem) throw cause
      throw unreachable(url, fetchProblem(cause), cause)
    }
  }
}

interface ShortRequest {
  readonly method: string
  readonly body?: string
}

function unreachable(url: string, reason: string, cause?: unknown): AcmeProblem {
  return new AcmeProblem(`cannot reach the authority at ${new URL(url).host}: ${reason}`, { isPassing: true, cause })
}

async function answerOf(response: Response): Promise<AcmeAnswer> {
  const text = await textOf(response)
  const retryAfterMs = retryAfter(response.headers)
  const isJson = /^application\/(problem\+)?json/i.test(response.headers.get('content-type') ?? '')
  const body: unknown = isJson ? parsed(text) : text
  if (!response.ok) {
    const { type, text: reason } = problemText(body)
    const isPassing = response.status >= 500
    throw new AcmeProblem(`the authority answered ${response.status}: ${reason}`, { type, retryAfterMs, isPassing })
  }
  return { body, location: response.headers.get('location') ?? undefined, retryAfterMs }
}

async function textOf(response: Response): Promise<string> {
  let bytes = 0
  const chunks: Uint8Array[] = []
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MAX_ANSWER_BYTES) throw new AcmeProblem('the answer of the authority is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Seconds or a date (RFC 9110 section 10.2.3), which is one of the authority's clock, as far as it tells the time. */
function retryAfter(headers: Headers): number | undefined {
  const text = headers.get('retry-after')
  if (text === null) return undefined
  const told = Date.parse(headers.get('date') ?? '')
  const now = Number.isNaN(told) ? Date.now() : told
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS)
}

function directoryOf(body: unknown): Directory {
  const { newNonce, newAccount, newOrder, meta } = (body ?? {}) as Readonly<Record<string, unknown>>
  if (typeof newNonce !== 'string' || typeof newAccount !== 'string' || typeof newOrder !== 'string') {
    throw new AcmeProblem('there is no ACME directory at that URL')
  }
  const { externalAccountRequired } = (meta ?? {}) as { readonly externalAccountRequired?: unknown }
  return { newNonce, newAccount, newOrder, needsExternalAccount: externalAccountRequired === true }
}

/** Node's fetch says what happened in the cause of its error. */
function fetchProblem(thrown: unknown): string {
  const { cause, message } = (thrown ?? {}) as {
    readonly cause?: { readonly code?: string; readonly message?: string }
    readonly message?: string
  }
  const code = cause?.code ?? cause?.message ?? message ?? 'failed'
  if (/SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/.test(code)) {
    return `its certificate is not trusted (${code}); NODE_EXTRA_CA_CERTS names the file of an authority of your own`
  }
  return code
}
