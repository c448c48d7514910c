import {
  createHash,
  createPublicKey,
  type JsonWebKey,
  type webcrypto as NodeWebCrypto,
  verify,
  webcrypto,
} from 'node:crypto'
import type { Fetch } from '../../../src/node/acme/acme-client.js'
import { loadX509 } from '../../../src/node/acme/certificate-request.js'
import { type ManualClock, settle } from '../../support/manual-clock.js'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const HOUR_MS = 3_600_000
export const BASE = 'https://ca.test'
export const DIRECTORY = `${BASE}/directory`

/** A request as the authority reads it. */
export interface Asked {
  readonly method: string
  readonly path: string
  readonly header: Readonly<Record<string, unknown>>
  /** `undefined` for POST-as-GET. */
  readonly payload: Readonly<Record<string, unknown>> | undefined
  readonly signal: AbortSignal | undefined
}

/** Answers in place of the authority; `undefined`: it answers by itself. */
export type Hook = (asked: Asked) => Response | undefined | Promise<Response | undefined>

interface Order {
  readonly name: string
  readonly authorization: Authorization
  status: string
  chain?: string
  looks: number
}

interface Authorization {
  readonly id: number
  readonly name: string
  status: string
  error?: object
}

type Keys = NodeWebCrypto.CryptoKeyPair

export function json(body: unknown, init: ResponseInit = {}): Response {
  return new Response(JSON.stringify(body), {
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
  })
}

export function problem(status: number, type: string, headers: Readonly<Record<string, string>> = {}): Response {
  const body = JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail: `says ${type}` })
  return new Response(body, { status, headers: { 'content-type': 'application/problem+json', ...headers } })
}

/** An authority of RFC 8555 in memory: it checks nonces, URLs and signatures, and issues certificates that are good by `clock`. */
export class FakeAuthority {
  /** `METHOD /path` of each request. */
  readonly log: string[] = []
  hook: Hook = () => undefined
  /** Why a name can't be validated in that way. */
  refuses: (name: string, type: string) => string | undefined = () => undefined
  types: readonly string[] = ['http-01', 'dns-01', 'tls-alpn-01']
  lifeMs = 90 * 24 * HOUR_MS
  /** Names that certificates are for, in place of what was asked for. */
  issuesFor: string | undefined
  issued = 0
  /** Requests under way. */
  busy = 0
  /** A name that was validated once is not validated again. */
  reuses = false
  /** The certificate is not there yet when it is asked for. */
  takesTime = false
  /** Header fields of the answer to that. */
  finalizing: Readonly<Record<string, string>> = {}
  readonly accounts = new Map<string, string>()
  readonly #clock: ManualClock
  readonly #keys: Keys
  readonly #nonces = new Set<string>()
  readonly #orders: Order[] = []
  readonly #authorizations: Authorization[] = []
  #count = 0

  private constructor(clock: ManualClock, keys: Keys) {
    this.#clock = clock
    this.#keys = keys
  }

  static async make(clock: ManualClock): Promise<FakeAuthority> {
    return new FakeAuthority(clock, (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as Keys)
  }

  readonly fetch: Fetch = async (url, { method = 'GET', body, signal }) => {
    this.busy += 1
    try {
      const path = new URL(url).pathname
      this.log.push(`${method} ${path}`)
      const read = typeof body === 'string' ? readBody(body) : undefined
      const asked = { method, path, header: read?.header ?? {}, payload: read?.payload, signal: signal ?? undefined }
      const answer = (await this.hook(asked)) ?? this.#refusal(url, read) ?? (await this.#answer(asked))
      // RFC 8555 section 6.5
      const isDue = method === 'POST' || path === '/nonce'
      if (isDue && !answer.headers.has('replay-nonce')) answer.headers.set('replay-nonce', this.#newNonce())
      return answer
    } finally {
      this.busy -= 1
    }
  }

  /** Moves the clock on while `work` waits for it, and gives what it comes to. */
  async drive<T>(work: Promise<T>, stepMs = 250): Promise<T> {
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    work.then(over, over)
    while (!isOver) {
      await settle()
      if (this.busy === 0 && this.#clock.pending > 0) this.#clock.advance(stepMs)
    }
    return work
  }

  /** Forgets every account. */
  forget(): void {
    this.accounts.clear()
  }

  /** What RFC 8555 section 6 refuses, whatever is asked for. */
  #refusal(url: string, read: ReturnType<typeof readBody> | undefined): Response | undefined {
    if (read === undefined) return undefined
    const { header, isSignedBy } = read
    if (!this.#nonces.delete(String(header.nonce))) return problem(400, 'badNonce')
    if (header.url !== url || header.alg !== 'ES256' || 'jwk' in header === 'kid' in header)
      return problem(400, 'malformed')
    const jwk = 'jwk' in header ? JSON.stringify(header.jwk) : this.accounts.get(String(header.kid))
    if (jwk === undefined) return problem(400, 'accountDoesNotExist')
    return isSignedBy(JSON.parse(jwk)) ? undefined : problem(400, 'malformed')
  }

  async #answer(asked: Asked): Promise<Response> {
    const [, kind = '', id = ''] = asked.path.split('/')
    const order = this.#orders[Number(id)]
    const authorization = this.#authorizations[Number(id)]
    if (kind === 'directory') {
      return json({ newNonce: `${BASE}/nonce`, newAccount: `${BASE}/account`, newOrder: `${BASE}/orders` })
    }
    if (kind === 'nonce') return new Response(null)
    if (kind === 'account') return this.#account(asked)
    if (kind === 'orders') return this.#newOrder(asked)
    if (kind === 'authorization' && authorization !== undefined) return json(this.#shownAuthorization(authorization))
    if (kind === 'challenge' && authorization !== undefined) return this.#validate(asked, authorization)
    if (kind === 'order' && order !== undefined) return json(this.#shown(order))
    if (kind === 'finalize' && order !== undefined) return this.#finalize(asked, order)
    if (kind === 'certificate' && order?.chain !== undefined) return chainAnswer(order.chain)
    return problem(404, 'malformed')
  }

  #account({ header }: Asked): Response {
    const jwk = JSON.stringify(header.jwk)
    const id = createHash('sha256').update(jwk).digest('hex').slice(0, 8)
    const isNew = !this.accounts.has(`${BASE}/account/${id}`)
    this.accounts.set(`${BASE}/account/${id}`, jwk)
    return json({ status: 'valid' }, { status: isNew ? 201 : 200, headers: { location: `${BASE}/account/${id}` } })
  }

  #newOrder({ payload }: Asked): Response {
    const [{ value: name } = { value: '' }] = (payload?.identifiers ?? []) as { value: string }[]
    const known = this.reuses
      ? this.#authorizations.find((one) => one.name === name && one.status === 'valid')
      : undefined
    const authorization = known ?? { id: this.#authorizations.length, name, status: 'pending' }
    if (known === undefined) this.#authorizations.push(authorization)
    const order: Order = { name, authorization, status: 'pending', looks: 0 }
    const id = this.#orders.push(order) - 1
    return json(this.#shown(order), { status: 201, headers: { location: `${BASE}/order/${id}` } })
  }

  #shown(order: Order): object {
    if (order.status === 'pending' && order.authorization.status === 'valid') order.status = 'ready'
    if (order.authorization.status === 'invalid') order.status = 'invalid'
    if (order.status === 'processing') order.looks += 1
    if (order.looks > (this.takesTime ? 1 : 0)) order.status = 'valid'
    const id = this.#orders.indexOf(order)
    return {
      status: order.status,
      authorizations: [`${BASE}/authorization/${order.authorization.id}`],
      finalize: `${BASE}/finalize/${id}`,
      ...(order.status === 'valid' && { certificate: `${BASE}/certificate/${id}` }),
    }
  }

  #shownAuthorization({ id, name, status, error }: Authorization): object {
    const challenges = this.types.map((type) => ({
      type,
      status,
      url: `${BASE}/challenge/${id}/${type}`,
      token: `token-${id}`,
      error,
    }))
    return { identifier: { type: 'dns', value: name }, status, challenges }
  }

  #validate({ path }: Asked, authorization: Authorization): Response {
    const detail = this.refuses(authorization.name, path.split('/')[3] ?? '')
    authorization.status = detail === undefined ? 'valid' : 'invalid'
    if (detail !== undefined) authorization.error = { type: 'urn:ietf:params:acme:error:connection', detail }
    return json({ status: 'processing' })
  }

  async #finalize({ payload }: Asked, order: Order): Promise<Response> {
    this.#shown(order)
    if (order.status !== 'ready') return problem(403, 'orderNotReady')
    order.status = 'processing'
    order.chain = await this.issue(Buffer.from(String(payload?.csr), 'base64url'), this.issuesFor ?? order.name)
    this.issued += 1
    return json(this.#shown(order), { headers: this.finalizing })
  }

  /** PEM of a certificate for the key of a request. */
  async issue(csr: Uint8Array, name: string): Promise<string> {
    const x509 = await loadX509()
    const request = new x509.Pkcs10CertificateRequest(new Uint8Array(csr))
    if (!(await request.verify())) throw new Error('the request is not signed by its key')
    // as public ones do, an hour ago
    const notBefore = this.#clock.wallTime() - Math.min(HOUR_MS, this.lifeMs / 100)
    const certificate = await x509.X509CertificateGenerator.create({
      ...{ serialNumber: this.#next().toString(16).padStart(8, '0'), issuer: 'CN=Fake authority' },
      ...{ publicKey: request.publicKey, signingKey: this.#keys.privateKey, signingAlgorithm: ALGORITHM },
      ...{ notBefore: new Date(notBefore), notAfter: new Date(notBefore + this.lifeMs) },
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
    })
    return `${certificate.toString('pem')}\n`
  }

  #next(): number {
    this.#count += 1
    return this.#count
  }

  #newNonce(): string {
    const nonce = `nonce-${this.#next()}`
    this.#nonces.add(nonce)
    return nonce
  }
}

export function chainAnswer(chain: string): Response {
  return new Response(chain, { headers: { 'content-type': 'application/pem-certificate-chain' } })
}

function readBody(body: string) {
  const { protected: head, payload, signature } = JSON.parse(body) as Record<string, string>
  const text = (part = ''): string => Buffer.from(part, 'base64url').toString()
  return {
    header: JSON.parse(text(head)) as Readonly<Record<string, unknown>>,
    payload: payload === '' ? undefined : (JSON.parse(text(payload)) as Readonly<Record<string, unknown>>),
    isSignedBy: (jwk: JsonWebKey): boolean => {
      const key = createPublicKey({ key: jwk, format: 'jwk' })
      const signed = Buffer.from(`${head}.${payload}`)
      return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature ?? '', 'base64url'))
    },
  }
}

/** Hangs until the signal of the request ends it, as a connection does that says nothing. */
export function hang({ signal }: Pick<Asked, 'signal'>): Promise<never> {
  return new Promise((_, reject) => {
    const leave = (): void => reject(signal?.reason)
    if (signal?.aborted) leave()
    else signal?.addEventListener('abort', leave, { once: true })
  })
}
