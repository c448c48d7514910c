import { createHash } from 'node:crypto'
import { remoteText } from '../../log.js'
import type { AbortOptions, Clock } from '../../ports.js'
import { type CertificatePair, MAX_PEM_BYTES, readCertificatePair } from '../tls/certificate-pair.js'
import type { AcmeAnswer, AcmeClient } from './acme-client.js'
import { AcmeProblem, problemText } from './acme-problem.js'
import { requestCertificate } from './certificate-request.js'
import { keyAuthorization } from './jws.js'

/** How a name is validated: at the TLS port (RFC 8737), or by HTTP at port 80 (RFC 8555 section 8.3). */
export type ChallengeType = 'tls-alpn-01' | 'http-01'

/** Between two looks at an order that is under way, if the authority names no longer time: at first, and at most. */
const FIRST_LOOK_MS = 500
const MAX_LOOK_MS = 10_000
/** From the request of a validation or certificate to its end. */
const STEP_TIMEOUT_MS = 3 * 60_000
/** How often a request for a certificate is handed in that comes too early. */
const MAX_FINALIZE_TRIES = 4

/** Answers challenges while an authority looks. */
export interface Challenges {
  /**
   * Ready to answer when it resolves.
   * @returns what takes the answer away
   */
  answer(type: ChallengeType, domain: string, challenge: Challenge): Promise<() => void>
}

export interface Challenge {
  readonly token: string
  readonly keyAuthorization: string
  /** SHA-256 of it. */
  readonly digest: Uint8Array
}

export interface OrderOptions extends AbortOptions {
  readonly client: AcmeClient
  readonly clock: Clock
  readonly challenges: Challenges
  /** How the name is to be validated. */
  readonly type: ChallengeType
}

interface OrderBody {
  readonly status: string
  readonly authorizations: readonly string[]
  readonly finalize: string
  readonly certificate: string | undefined
  readonly error: unknown
}

/**
 * Gets one certificate for `domain` (RFC 8555 section 7.4).
 * @throws {AcmeProblem} and the reason of its signal
 */
export async function orderCertificate(domain: string, options: OrderOptions): Promise<CertificatePair> {
  const { client } = options
  const placed = await client.newOrder(domain, options)
  const { location } = placed
  if (location === undefined) throw new AcmeProblem('the authority took an order without giving its URL')
  for (const url of orderOf(placed.body).authorizations) await authorize(domain, url, options)
  const { csr, key } = await requestCertificate(domain)
  const taken = await finalize(location, csr, options)
  const isDone = (body: unknown): boolean => ['valid', 'invalid'].includes(orderOf(body).status)
  const { status, certificate, error } = orderOf(await settled(location, options, isDone, 'the certificate', taken))
  if (status !== 'valid' || certificate === undefined) throw notIssued(error)
  const { body } = await client.request(certificate, undefined, options)
  return issued(domain, String(body), key)
}

/** Hands in what is to be certified, as soon as the order is ready for it. @returns the order as it is then */
async function finalize(location: string, csr: Uint8Array, options: OrderOptions): Promise<AcmeAnswer> {
  const { client, clock, signal } = options
  for (let tries = 1; ; tries += 1) {
    const isSettled = (body: unknown): boolean => orderOf(body).status !== 'pending'
    const order = orderOf(await settled(location, options, isSettled, 'the order'))
    if (order.status !== 'ready') throw notIssued(order.error)
    try {
      return await client.request(order.finalize, { csr: Buffer.from(csr).toString('base64url') }, options)
    } catch (thrown) {
      // the order is to be looked at again then
      const isEarly = thrown instanceof AcmeProblem && thrown.type === 'orderNotReady'
      if (!isEarly || tries === MAX_FINALIZE_TRIES) throw thrown
    }
    await pause(clock, FIRST_LOOK_MS * 2 ** tries, signal)
  }
}

function notIssued(error: unknown): AcmeProblem {
  return new AcmeProblem(`the authority did not issue the certificate: ${problemText(error).text}`)
}

/** What came is checked like every other certificate. */
function issued(domain: string, chain: string, key: string): CertificatePair {
  if (chain.length > MAX_PEM_BYTES) throw new AcmeProblem('the certificate of the authority is too long')
  let pair: CertificatePair
  try {
    pair = readCertificatePair(chain, key)
  } catch (cause) {
    throw new AcmeProblem('the authority sent a certificate that can not be used', { cause })
  }
  if (pair.leaf.checkHost(domain) === undefined) {
    throw new AcmeProblem('the authority sent a certificate for another name')
  }
  // it would be renewed at once, again and again
  if (!(pair.notAfter > pair.notBefore)) throw new AcmeProblem('the authority sent a certificate that is never good')
  return pair
}

async function authorize(domain: string, url: string, options: OrderOptions): Promise<void> {
  const { client, type, challenges } = options
  const { body } = await client.request(url, undefined, options)
  const authorization = authorizationOf(body)
  // from another order, a while ago
  if (authorization.status === 'valid') return
  if (authorization.status !== 'pending') throw notValidated(domain, type, authorization)
  const chosen = authorization.challenges.find((offered) => offered.type === type)
  if (chosen === undefined) {
    throw new AcmeProblem(`the authority does not validate ${domain} by ${type}`, { isValidation: true })
  }
  const text = keyAuthorization(client.account.key, chosen.token)
  const digest = createHash('sha256').update(text).digest()
  const withdraw = await challenges.answer(type, domain, { token: chosen.token, keyAuthorization: text, digest })
  try {
    await client.request(chosen.url, {}, options)
    const isDone = (body: unknown): boolean => authorizationOf(body).status !== 'pending'
    const done = authorizationOf(await settled(url, options, isDone, 'the validation'))
    if (done.status !== 'valid') throw notValidated(domain, type, done)
  } finally {
    withdraw()
  }
}

function notValidated(domain: string, type: ChallengeType, { status, challenges }: Authorization): AcmeProblem {
  const failed = challenges.find((one) => one.type === type)
  const reason = failed?.error === undefined ? `it is ${remoteText(status)}` : problemText(failed.error).text
  return new AcmeProblem(`the authority could not validate ${domain} by ${type}: ${reason}`, { isValidation: true })
}

/**
 * Looks until it is done, as often as the authority wants; a look that does not get through is repeated.
 * @param known what is known without a look
 */
async function settled(
  url: string,
  { client, clock, signal }: OrderOptions,
  isDone: (body: unknown) => boolean,
  what: string,
  known?: AcmeAnswer,
): Promise<unknown> {
  let first = known
  const end = clock.now() + STEP_TIMEOUT_MS
  const late = new AcmeProblem(`the authority did not finish ${what} within ${STEP_TIMEOUT_MS / 60_000} min`)
  for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 2, MAX_LOOK_MS)) {
    let problem = late
    let askedFor: number | undefined
    try {
      const { body, retryAfterMs } = first ?? (await client.request(url, undefined, { signal }))
      first = undefined
      if (isDone(body)) return body
      askedFor = retryAfterMs
    } catch (thrown) {
      if (!(thrown instanceof AcmeProblem) || !thrown.isPassing) throw thrown
      problem = thrown
      askedFor = thrown.retryAfterMs
    }
    const left = end - clock.now()
    if (left <= 0) throw problem
    await pause(clock, Math.min(Math.max(askedFor ?? wait, FIRST_LOOK_MS), left), signal)
  }
}

function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    const onAbort = (): void => {
      settle()
      reject(signal?.reason)
    }
    const timer = clock.after(ms, () => {
      settle()
      resolve()
    })
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) onAbort()
  })
}

type Fields = Readonly<Record<string, unknown>>

/** Of an order for one name. */
const MAX_AUTHORIZATIONS = 4
const MAX_CHALLENGES = 16
/** RFC 8555 section 8.1: characters of base64url. */
const TOKEN = /^[\w-]{1,512}$/

function orderOf(body: unknown): OrderBody {
  const { status, authorizations, finalize, certificate, error } = (body ?? {}) as Fields
  if (typeof status !== 'string' || typeof finalize !== 'string' || !Array.isArray(authorizations)) throw nonsense()
  const urls = authorizations.slice(0, MAX_AUTHORIZATIONS).map(String)
  const chain = typeof certificate === 'string' ? certificate : undefined
  return { status, finalize, authorizations: urls, certificate: chain, error }
}

interface Authorization {
  readonly status: string
  readonly challenges: readonly OfferedChallenge[]
}

interface OfferedChallenge {
  readonly type: string
  readonly url: string
  readonly token: string
  readonly error: unknown
}

function authorizationOf(body: unknown): Authorization {
  const { status, challenges } = (body ?? {}) as Fields
  if (typeof status !== 'string' || !Array.isArray(challenges)) throw nonsense()
  const offered = challenges.slice(0, MAX_CHALLENGES).flatMap((challenge: unknown) => {
    const { type, url, token, error } = (challenge ?? {}) as Fields
    if (typeof type !== 'string' || typeof url !== 'string' || typeof token !== 'string' || !TOKEN.test(token))
      return []
    return [{ type, url, token, error }]
  })
  return { status, challenges: offered }
}

function nonsense(): AcmeProblem {
  return new AcmeProblem('the answer of the authority is not what RFC 8555 says')
}
