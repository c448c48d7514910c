import { createPrivateKey } from 'node:crypto'
import { LinkSocksError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { Clock, Timer } from '../../ports.js'
import type { AlarmBoard } from '../tls/certificate-expiry.js'
import { type CertificatePair, readCertificatePair } from '../tls/certificate-pair.js'
import { AcmeClient, type Fetch } from './acme-client.js'
import { type Challenges, type ChallengeType, orderCertificate } from './acme-order.js'
import { AcmeProblem } from './acme-problem.js'
import {
  type AcmeState,
  type AcmeStore,
  emptyState,
  type StoredAccount,
  type StoredAttempts,
  type StoredCertificate,
} from './acme-store.js'
import { challengeCertificate, loadX509, newAccountKey } from './certificate-request.js'
import { type Due, delayAtStart, dueIn, leastBetween, renewalTime, retryDelay, timeLeft } from './renewal.js'

/** The calendar may jump: it is looked at as often. */
const LOOK_MS = 60_000
const TYPES: readonly ChallengeType[] = ['tls-alpn-01', 'http-01']

export interface AcmeCertificatesOptions {
  readonly domains: readonly string[]
  readonly email?: string | undefined
  /** URL of the directory. */
  readonly directory: string
  readonly store: Pick<AcmeStore, 'load' | 'save'>
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  readonly log: Logger
  readonly alarms: AlarmBoard
  /** Takes a certificate, stored or new. */
  readonly use: (domain: string, pair: CertificatePair) => void
  /** Answers at the TLS port. @returns what takes the answer away */
  readonly putTlsAnswer: (domain: string, pair: CertificatePair) => () => void
  /** Answers at the port for HTTP, as that; `undefined`: there is none. */
  readonly putHttpAnswer?: ((token: string, keyAuthorization: string) => () => void) | undefined
  /** Between the first failure and the next attempt, in milliseconds. @default 600_000 */
  readonly firstRetryMs?: number | undefined
  /** @default Node's */
  readonly fetch?: Fetch | undefined
}

/** One name with its certificate. */
interface Entry {
  readonly domain: string
  due: Due
  timer: Timer | undefined
  /** An attempt is under way, or waits for those of other names. */
  isBusy: boolean
  /** It is to be tried again at once, should that attempt fail. */
  isWanted: boolean
}

/** Gets certificates for names, and renews them as long as it is open. */
export class AcmeCertificates {
  readonly #options: AcmeCertificatesOptions
  readonly #ended = new AbortController()
  readonly #entries: readonly Entry[]
  #state: AcmeState = emptyState()
  #client: AcmeClient | undefined
  /** Attempts, one after the other. */
  #last: Promise<void> = Promise.resolve()
  /** Something is not on the disk. */
  #isUnsaved = false

  constructor(options: AcmeCertificatesOptions) {
    this.#options = options
    const due = dueIn(0, options.clock)
    this.#entries = options.domains.map((domain) => ({
      ...{ domain, due, timer: undefined },
      isBusy: false,
      isWanted: false,
    }))
  }

  /**
   * Uses the certificates that are stored.
   * @throws {LinkSocksError} ERR_STORE, ERR_OPTION (a package is missing)
   */
  async open(): Promise<void> {
    await loadX509()
    this.#state = await this.#options.store.load()
    this.#forgetOthers()
    for (const entry of this.#entries) entry.due = this.#restore(entry.domain)
  }

  /** Begins to get what is missing; the server has to listen by now. */
  start(): void {
    for (const entry of this.#entries) this.#arm(entry)
  }

  /** Tries again now what has failed, or after an attempt that is under way, should that fail. */
  retry(): void {
    for (const entry of this.#entries) {
      if (entry.isBusy) entry.isWanted = true
      else if (this.#again(entry)) this.#arm(entry)
    }
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    this.#ended.abort(new LinkSocksError('ERR_SHUTTING_DOWN', 'the server was closed'))
    for (const { timer } of this.#entries) timer?.cancel()
    await this.#last
  }

  /** The keys of names that it is not asked for any more, once their certificates are over. */
  #forgetOthers(): void {
    const { domains, clock } = this.#options
    for (const domain of Object.keys(this.#state.certificates)) {
      const pair = domains.includes(domain) ? undefined : this.#stored(domain)
      if (pair !== undefined && pair.notAfter < clock.wallTime()) delete this.#state.certificates[domain]
    }
    for (const domain of Object.keys(this.#state.attempts)) {
      if (!domains.includes(domain)) delete this.#state.attempts[domain]
    }
  }

  /** @returns when the certificate is to be there, or renewed */
  #restore(domain: string): Due {
    const { clock, directory, random } = this.#options
    const now = clock.wallTime()
    const { nextAt, failures, askedUntil } = this.#attemptsOf(domain)
    const again = dueIn(failures === 0 ? 0 : delayAtStart(nextAt, askedUntil, now), clock)
    const pair = this.#stored(domain)
    if (pair === undefined) return again
    this.#use(domain, pair)
    if (pair.directory !== directory) return again
    const wait = renewalTime(pair, random(), now) - now
    return wait > 0 ? dueIn(wait, clock) : again
  }

  #stored(domain: string): (CertificatePair & Pick<StoredCertificate, 'directory' | 'obtainedAt'>) | undefined {
    const stored = this.#state.certificates[domain]
    if (stored === undefined) return undefined
    const { directory, obtainedAt } = stored
    try {
      return { ...readCertificatePair(stored.chain, stored.key), directory, obtainedAt }
    } catch {
      return undefined
    }
  }

  #arm(entry: Entry): void {
    entry.timer?.cancel()
    if (this.#ended.signal.aborted) return
    const { clock } = this.#options
    const wait = Math.min(Math.max(timeLeft(entry.due, clock), 0), LOOK_MS)
    entry.timer = clock.after(wait, () => {
      if (timeLeft(entry.due, clock) <= 0) return this.#enqueue(entry)
      if (this.#isUnsaved) this.#last = this.#last.then(() => this.#saveAgain())
      this.#arm(entry)
    })
  }

  /** @returns whether it has failed, and is due then */
  #again(entry: Entry): boolean {
    entry.isWanted = false
    if (this.#attemptsOf(entry.domain).failures === 0) return false
    entry.due = dueIn(0, this.#options.clock)
    return true
  }

  #enqueue(entry: Entry): void {
    entry.isBusy = true
    this.#last = this.#last.then(async () => {
      await this.#attempt(entry)
      entry.isBusy = false
      if (entry.isWanted) this.#again(entry)
      this.#arm(entry)
    })
  }

  /** Never rejects. */
  async #attempt(entry: Entry): Promise<void> {
    const { domain } = entry
    const { signal } = this.#ended
    if (signal.aborted) return
    try {
      entry.due = await this.#obtain(domain)
    } catch (thrown) {
      if (signal.aborted) return
      entry.due = await this.#failed(domain, thrown)
    }
  }

  /** Tries one way of validation after the other. @returns when it is to be renewed */
  async #obtain(domain: string): Promise<Due> {
    const reasons: string[] = []
    for (const type of this.#typesFor(domain)) {
      try {
        return await this.#obtained(domain, await this.#order(domain, type), type)
      } catch (thrown) {
        if (!(thrown instanceof AcmeProblem) || !thrown.isValidation) throw thrown
        reasons.push(thrown.message)
      }
    }
    throw new AcmeProblem(reasons.join('; '))
  }

  async #order(domain: string, type: ChallengeType): Promise<CertificatePair> {
    const { log, clock } = this.#options
    const { signal } = this.#ended
    log.info('acme.order', { domain, validation: type })
    const order = async (): Promise<CertificatePair> =>
      orderCertificate(domain, {
        ...{ client: await this.#registered(), clock, challenges: this.#challenges, type, signal },
      })
    try {
      return await order()
    } catch (thrown) {
      if (!(thrown instanceof AcmeProblem) || thrown.type !== 'accountDoesNotExist') throw thrown
      // the authority has forgotten it: it is made anew for its key
      this.#client = undefined
      return await order()
    }
  }

  /** Never rejects: a certificate that is there is not asked for again. @returns when it is to be renewed */
  async #obtained(domain: string, pair: CertificatePair, type: ChallengeType): Promise<Due> {
    const { clock, directory, alarms, random } = this.#options
    const now = clock.wallTime()
    this.#state.certificates[domain] = { directory, chain: pair.chain, key: pair.key, obtainedAt: now }
    this.#state.attempts[domain] = { failures: 0, nextAt: 0, type }
    const due = dueIn(renewalTime({ ...pair, obtainedAt: now }, random(), now) - now, clock, leastBetween(pair))
    alarms.clear('certificate-not-issued', domain)
    this.#use(domain, pair)
    await this.#save()
    return due
  }

  #use(domain: string, pair: CertificatePair): void {
    const { use, log, alarms } = this.#options
    try {
      use(domain, pair)
    } catch (thrown) {
      const reason = `the certificate can't be used: ${LinkSocksError.from(thrown, 'ERR_OPTION').message}`
      log.error('acme.not-used', { domain, reason })
      alarms.raise('certificate-not-issued', domain, reason)
    }
  }

  /** @returns when it is tried again */
  async #failed(domain: string, thrown: unknown): Promise<Due> {
    const { clock, log, alarms, random, firstRetryMs } = this.#options
    const { message } = LinkSocksError.from(thrown, 'ERR_CONNECT')
    const problem = thrown instanceof AcmeProblem ? thrown : undefined
    const { failures: before, type } = this.#attemptsOf(domain)
    const failures = before + 1
    const due = dueIn(retryDelay(failures, random(), problem?.retryAfterMs, firstRetryMs), clock)
    const asked = problem?.retryAfterMs
    const askedUntil = asked === undefined ? undefined : clock.wallTime() + asked
    this.#state.attempts[domain] = { failures, nextAt: due.at, askedUntil, type }
    const next = new Date(due.at).toISOString()
    log.warn('acme.failed', { domain, failures, reason: message, next })
    alarms.clear('certificate-not-issued', domain)
    alarms.raise('certificate-not-issued', domain, `${message}; next attempt ${next}`)
    await this.#save()
    return due
  }

  /** A full disk is no reason to lose what was obtained: it is in use, and written with the next look that finds room. */
  async #save(): Promise<void> {
    const { store, log } = this.#options
    const isRepeated = this.#isUnsaved
    this.#isUnsaved = false
    try {
      await store.save(this.#state)
      if (isRepeated) log.info('acme.stored')
    } catch (thrown) {
      this.#isUnsaved = true
      const { message: reason } = LinkSocksError.from(thrown, 'ERR_STORE')
      if (!isRepeated) log.error('acme.not-stored', { reason })
    }
  }

  async #saveAgain(): Promise<void> {
    if (this.#isUnsaved) await this.#save()
  }

  async #registered(): Promise<AcmeClient> {
    if (this.#client !== undefined) return this.#client
    const { directory, email, log, clock, fetch } = this.#options
    const { signal } = this.#ended
    const { key, kid } = this.#state.accounts[directory] ?? (await this.#newAccount())
    const account = { key: createPrivateKey(key), kid }
    const client = new AcmeClient({ directory, account, clock, fetch })
    await client.register(email, { signal })
    if (account.kid !== kid) {
      this.#state.accounts[directory] = { key, kid: account.kid }
      log.info('acme.account', { directory })
      await this.#save()
    }
    this.#client = client
    return client
  }

  /** Its key is kept before the authority hears of it: else an answer that is lost would leave an account behind, each time. */
  async #newAccount(): Promise<StoredAccount> {
    const account = { key: await newAccountKey() }
    this.#state.accounts[this.#options.directory] = account
    await this.#save()
    return account
  }

  /** The way that worked last comes first. */
  #typesFor(domain: string): readonly ChallengeType[] {
    const { putHttpAnswer } = this.#options
    const known = TYPES.filter((type) => type !== 'http-01' || putHttpAnswer !== undefined)
    const { type: first } = this.#attemptsOf(domain)
    return [...known.filter((type) => type === first), ...known.filter((type) => type !== first)]
  }

  #attemptsOf(domain: string): StoredAttempts {
    return this.#state.attempts[domain] ?? { failures: 0, nextAt: 0, type: undefined }
  }

  readonly #challenges: Challenges = {
    answer: async (type, domain, { token, keyAuthorization, digest }) => {
      const { putTlsAnswer, putHttpAnswer } = this.#options
      if (type === 'http-01') return putHttpAnswer?.(token, keyAuthorization) ?? (() => {})
      return putTlsAnswer(domain, await challengeCertificate(domain, digest))
    },
  }
}
