import type { Logger } from '../../log.js'
import type { Clock, Timer } from '../../ports.js'
import type { AlarmCode } from '../../relay/observe/event-log.js'
import type { CertificatePair } from './certificate-pair.js'

/** How often it is looked how long certificates are still good. */
export const EXPIRY_LOOK_MS = 10_000
const DAY_MS = 24 * 3_600_000
/** The first and the second warning before the end; of certificates with a short life, this part of it. */
const WARNINGS = [
  { beforeMs: 14 * DAY_MS, part: 1 / 4 },
  { beforeMs: 3 * DAY_MS, part: 1 / 12 },
] as const

/** Where alarms go. */
export interface AlarmBoard {
  raise(code: AlarmCode, subject: string | undefined, message: string): void
  clear(code: AlarmCode, subject?: string): void
}

/** How near the end of a certificate is: none, the first warning, the second, or over. */
export function expiryLevel(
  { notBefore, notAfter }: Pick<CertificatePair, 'notBefore' | 'notAfter'>,
  time: number,
): number {
  if (time >= notAfter) return WARNINGS.length + 1
  const left = notAfter - time
  return WARNINGS.filter(({ beforeMs, part }) => left <= Math.min(beforeMs, (notAfter - notBefore) * part)).length
}

export interface CertificateExpiryOptions {
  /** The certificates that are in use, by where they come from. */
  readonly pairs: () => Iterable<readonly [source: string, pair: CertificatePair]>
  readonly clock: Clock
  readonly alarms: AlarmBoard
  readonly log: Logger
}

/** Warns of certificates that end soon, until they are replaced. */
export class CertificateExpiry {
  readonly #options: CertificateExpiryOptions
  /** What each was found to be last: its level and its end. */
  readonly #known = new Map<string, string>()
  #timer: Timer | undefined
  #closed = false

  constructor(options: CertificateExpiryOptions) {
    this.#options = options
  }

  /** Looks now, and from time to time after it. */
  look(): void {
    if (this.#closed) return
    const { pairs, clock } = this.#options
    for (const [source, pair] of pairs()) this.#judge(source, pair)
    this.#timer?.cancel()
    this.#timer = clock.after(EXPIRY_LOOK_MS, () => this.look())
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #judge(source: string, pair: CertificatePair): void {
    const { clock, alarms, log } = this.#options
    const level = expiryLevel(pair, clock.wallTime())
    const found = `${level} ${pair.notAfter}`
    if (found === this.#known.get(source)) return
    this.#known.set(source, found)
    alarms.clear('certificate-expiring', source)
    if (level === 0) return
    const date = new Date(pair.notAfter).toISOString()
    const message = level > WARNINGS.length ? `the certificate has expired (${date})` : `the certificate ends ${date}`
    log.warn('certificate.expiring', { source, reason: message })
    alarms.raise('certificate-expiring', source, `${message}: replace it`)
  }
}
