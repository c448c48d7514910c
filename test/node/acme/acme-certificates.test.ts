import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import type { LogFields, Logger } from '../../../src/log.js'
import { AcmeCertificates, type AcmeCertificatesOptions } from '../../../src/node/acme/acme-certificates.js'
import { type AcmeState, emptyState } from '../../../src/node/acme/acme-store.js'
import type { AlarmBoard } from '../../../src/node/tls/certificate-expiry.js'
import type { CertificatePair } from '../../../src/node/tls/certificate-pair.js'
import { atEnd } from '../../support/at-end.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { until } from '../../support/wait.js'
import { DIRECTORY, FakeAuthority, hang, problem } from './fake-authority.js'

const NAME = 'relay.test'
const OTHER = 'other.test'
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** What is kept, as text, as on a disk. */
class MemoryStore {
  text: string | undefined
  saves = 0
  /** Why nothing can be written. */
  problem: Error | undefined

  async load(): Promise<AcmeState> {
    const state = emptyState()
    const kept = this.text === undefined ? emptyState() : (JSON.parse(this.text) as AcmeState)
    Object.assign(state.accounts, kept.accounts)
    Object.assign(state.certificates, kept.certificates)
    Object.assign(state.attempts, kept.attempts)
    return state
  }

  async save(state: AcmeState): Promise<void> {
    this.saves += 1
    const text = JSON.stringify(state)
    await undefined
    if (this.problem !== undefined) throw this.problem
    this.text = text
  }

  get state(): AcmeState {
    return JSON.parse(this.text ?? JSON.stringify(emptyState()))
  }
}

class Scene {
  readonly clock: ManualClock
  readonly authority: FakeAuthority
  readonly store = new MemoryStore()
  readonly lines: [level: string, event: string, fields: LogFields][] = []
  readonly alarms = new Map<string, string>()
  readonly used: [domain: string, pair: CertificatePair][] = []
  readonly answers = new Set<string>()
  /** Answers that were given, by their kind. */
  readonly kinds: string[] = []

  constructor(clock: ManualClock, authority: FakeAuthority) {
    this.clock = clock
    this.authority = authority
  }

  /** A server that is opened, with what was stored before, and started. */
  async start(options: Partial<AcmeCertificatesOptions> = {}): Promise<AcmeCertificates> {
    const certificates = await this.open(options)
    certificates.start()
    this.clock.advance(0)
    return certificates
  }

  async open(options: Partial<AcmeCertificatesOptions> = {}): Promise<AcmeCertificates> {
    const note =
      (level: string) =>
      (event: string, fields: LogFields = {}): void =>
        void this.lines.push([level, event, fields])
    const log: Logger = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') }
    const alarms: AlarmBoard = {
      raise: (code, subject, message) => void this.alarms.set(`${code} ${subject}`, message),
      clear: (code, subject) => void this.alarms.delete(`${code} ${subject}`),
    }
    const put = (kind: string, key: string): (() => void) => {
      this.kinds.push(kind)
      this.answers.add(key)
      return () => void this.answers.delete(key)
    }
    const certificates = new AcmeCertificates({
      ...{ domains: [NAME], directory: DIRECTORY, store: this.store, clock: this.clock, random: () => 0.5 },
      ...{ log, alarms, fetch: this.authority.fetch },
      use: (domain, pair) => void this.used.push([domain, pair]),
      putTlsAnswer: (domain) => put('tls', domain),
      putHttpAnswer: (token) => put('http', token),
      ...options,
    })
    atEnd(() => certificates.close())
    await certificates.open()
    return certificates
  }

  /** Until so many certificates are in use, and the last one is stored. */
  async untilUsed(count: number, names = 1): Promise<void> {
    await until(() => this.used.length >= count && this.clock.pending === names && this.authority.busy === 0)
    expect(this.used).toHaveLength(count)
  }

  /** Until so many attempts have failed, and the last one is stored. */
  async untilFailed(count: number, names = 1): Promise<void> {
    const failed = (): number => this.events('acme.failed').length
    await until(() => failed() >= count && this.clock.pending === names && this.authority.busy === 0)
    expect(failed()).toBe(count)
  }

  events(event: string): LogFields[] {
    return this.lines.filter(([, name]) => name === event).map(([, , fields]) => fields)
  }

  /** Orders that were begun: what is waited for in vain is seen by these. */
  get orders(): number {
    return this.events('acme.order').length
  }

  /** Of what was used, one after the other. */
  get serials(): string[] {
    return this.used.map(([, { leaf }]) => leaf.serialNumber)
  }
}

async function setUp(): Promise<Scene> {
  const clock = new ManualClock()
  return new Scene(clock, await FakeAuthority.make(clock))
}

const ALARM = `certificate-not-issued ${NAME}`

describe('AcmeCertificates', () => {
  it('gets a certificate, uses it and stores it with account and way', async () => {
    const scene = await setUp()
    await scene.start({ email: 'a@relay.test' })
    await scene.untilUsed(1)
    const { accounts, certificates, attempts } = scene.store.state
    expect(accounts[DIRECTORY]).toEqual({
      ...{ key: expect.stringContaining('PRIVATE KEY'), kid: expect.stringContaining('https://ca.test/account/') },
    })
    const [[domain, pair] = []] = scene.used
    expect(domain).toBe(NAME)
    expect(certificates[NAME]).toEqual({
      ...{ directory: DIRECTORY, chain: pair?.chain, key: pair?.key, obtainedAt: scene.clock.wallTime() },
    })
    expect(attempts[NAME]).toEqual({ failures: 0, nextAt: 0, type: 'tls-alpn-01' })
    expect([scene.kinds, scene.answers.size, scene.alarms.size]).toEqual([['tls'], 0, 0])
  })

  it('asks nothing before it is started', async () => {
    const scene = await setUp()
    await scene.open()
    expect([scene.authority.log, scene.clock.pending]).toEqual([[], 0])
  })

  it('gets certificates for several names one after the other, with one account', async () => {
    const scene = await setUp()
    let [open, most] = [0, 0]
    scene.authority.hook = ({ path }) => {
      if (path === '/orders') open += 1
      if (path.startsWith('/certificate')) open -= 1
      most = Math.max(most, open)
      return undefined
    }
    await scene.start({ domains: [NAME, OTHER] })
    await scene.untilUsed(2, 2)
    expect(scene.used.map(([domain, { leaf }]) => [domain, leaf.checkHost(domain)])).toEqual([
      [NAME, NAME],
      [OTHER, OTHER],
    ])
    expect([most, scene.authority.accounts.size]).toEqual([1, 1])
  })

  it('goes on with the next name when one fails', async () => {
    const scene = await setUp()
    scene.authority.refuses = (name) => (name === NAME ? 'no' : undefined)
    await scene.start({ domains: [NAME, OTHER] })
    await scene.untilUsed(1, 2)
    expect([scene.used[0]?.[0], [...scene.alarms.keys()]]).toEqual([OTHER, [ALARM]])
  })

  it('renews when a third of the life and a little is left, and stores that', async () => {
    const scene = await setUp()
    await scene.start()
    await scene.untilUsed(1)
    const at = (90 * (2 / 3 - 1 / 20) * 24 - 1) * 60 * MINUTE_MS
    scene.clock.advance(at - MINUTE_MS)
    expect(scene.orders).toBe(1)
    scene.clock.advance(2 * MINUTE_MS)
    await scene.untilUsed(2)
    expect(new Set(scene.serials).size).toBe(2)
    expect(scene.store.state.certificates[NAME]?.chain).toBe(scene.used[1]?.[1].chain)
  })

  it('looks at the calendar once a minute, by one timer for each name', async () => {
    const scene = await setUp()
    await scene.start()
    await scene.untilUsed(1)
    for (let minute = 0; minute < 5; minute += 1) {
      scene.clock.advance(MINUTE_MS)
      expect(scene.clock.pending).toBe(1)
    }
  })

  it('says nothing of a key in any line, alarm or error', async () => {
    const scene = await setUp()
    scene.authority.refuses = (_name, type) => (type === 'tls-alpn-01' ? 'no' : undefined)
    await scene.start()
    await scene.untilUsed(1)
    scene.authority.hook = () => problem(500, 'serverInternal')
    scene.clock.advance(60 * DAY_MS)
    await scene.untilFailed(1)
    const { accounts, certificates } = scene.store.state
    const said = JSON.stringify([scene.lines, [...scene.alarms]])
    const keys = [accounts[DIRECTORY]?.key, certificates[NAME]?.key].map((key = '') => key.split('\n')[1] ?? '')
    for (const key of keys) {
      expect(key).toHaveLength(64)
      expect(said).not.toContain(key)
    }
    expect(said).not.toMatch(/PRIVATE|token-0\./)
  })
})

describe('AcmeCertificates and what is stored', () => {
  it('uses a certificate at open() and does not ask for another one', async () => {
    const scene = await setUp()
    await (await scene.start()).close()
    await scene.start()
    await scene.untilUsed(1)
    scene.authority.log.length = 0
    const again = await scene.open()
    expect(scene.serials).toEqual([scene.serials[0], scene.serials[0]])
    again.start()
    scene.clock.advance(50 * DAY_MS)
    expect(scene.authority.log).toEqual([])
  })

  it('renews one whose time came while it was closed', async () => {
    const scene = await setUp()
    const first = await scene.start()
    await scene.untilUsed(1)
    await first.close()
    scene.clock.advance(70 * DAY_MS)
    await scene.start()
    expect(scene.used).toHaveLength(2)
    await scene.untilUsed(3)
    expect(new Set(scene.serials).size).toBe(2)
  })

  it('uses one of another authority until there is a new one', async () => {
    const scene = await setUp()
    const first = await scene.start()
    await scene.untilUsed(1)
    await first.close()
    const directory = 'https://ca.test/directory/other'
    await scene.start({ directory })
    expect(scene.serials[1]).toBe(scene.serials[0])
    await scene.untilUsed(3)
    expect(scene.serials[2]).not.toBe(scene.serials[0])
    expect(scene.store.state.certificates[NAME]?.directory).toBe(directory)
    // an account for each
    expect(Object.keys(scene.store.state.accounts)).toEqual([DIRECTORY, directory])
  })

  it('replaces one that can not be read', async () => {
    const scene = await setUp()
    const state = emptyState()
    state.certificates[NAME] = { directory: DIRECTORY, chain: 'garbage', key: 'garbage', obtainedAt: 0 }
    await scene.store.save(state)
    await scene.start()
    await scene.untilUsed(1)
    expect(scene.authority.issued).toBe(1)
  })

  it('forgets the keys of names that are not asked for any more, once their certificates are over', async () => {
    const scene = await setUp()
    const both = await scene.start({ domains: [NAME, OTHER] })
    await scene.untilUsed(2, 2)
    await both.close()
    const alone = await scene.start()
    await alone.close()
    expect(Object.keys(scene.store.state.certificates)).toEqual([NAME, OTHER])
    scene.clock.advance(100 * DAY_MS)
    await scene.start()
    await scene.untilUsed(5)
    expect(Object.keys(scene.store.state.certificates)).toEqual([NAME])
    expect(Object.keys(scene.store.state.attempts)).toEqual([NAME])
  })

  it('keeps the key of an account before the authority hears of it, and uses it again after an answer that was lost', async () => {
    const scene = await setUp()
    let isLost = false
    scene.authority.hook = ({ path, header }) => {
      if (path !== '/account' || isLost) return undefined
      isLost = true
      expect(scene.store.state.accounts[DIRECTORY]?.key).toContain('PRIVATE KEY')
      expect(header).toHaveProperty('jwk')
      throw new TypeError('fetch failed', { cause: new Error('other side closed') })
    }
    await scene.start()
    await scene.untilFailed(1)
    const { key } = scene.store.state.accounts[DIRECTORY] ?? {}
    scene.clock.advance(20 * MINUTE_MS)
    await scene.untilUsed(1)
    expect(scene.store.state.accounts[DIRECTORY]).toEqual({ key, kid: expect.any(String) })
  })

  it('makes an account anew, with its key, that the authority has forgotten', async () => {
    const scene = await setUp()
    await scene.start()
    await scene.untilUsed(1)
    const before = scene.store.state.accounts[DIRECTORY]
    scene.authority.forget()
    scene.clock.advance(60 * DAY_MS)
    await scene.untilUsed(2)
    expect(scene.events('acme.failed')).toEqual([])
    expect([scene.store.state.accounts[DIRECTORY], scene.authority.accounts.size]).toEqual([before, 1])
  })

  it('says once that nothing can be stored, uses what it got, and stores it as soon as that works', async () => {
    const scene = await setUp()
    scene.store.problem = new Error('ENOSPC: no space left on device')
    await scene.start()
    await scene.untilUsed(1)
    for (let minute = 0; minute < 5; minute += 1) {
      const { saves } = scene.store
      scene.clock.advance(MINUTE_MS)
      await until(() => scene.store.saves === saves + 1)
    }
    expect(scene.events('acme.not-stored')).toEqual([{ reason: 'ENOSPC: no space left on device' }])
    expect([scene.store.text, scene.authority.issued]).toEqual([undefined, 1])
    scene.store.problem = undefined
    scene.clock.advance(MINUTE_MS)
    await until(() => scene.events('acme.stored').length === 1)
    expect(scene.store.state.certificates[NAME]?.chain).toBe(scene.used[0]?.[1].chain)
    const { saves } = scene.store
    scene.clock.advance(5 * MINUTE_MS)
    expect(scene.store.saves).toBe(saves)
  })

  it('is refused by open() with the reason that the store can not be read', async () => {
    const scene = await setUp()
    const reason = new LinkSocksError('ERR_STORE', 'damaged')
    const store = { load: () => Promise.reject(reason), save: async () => {} }
    await expect(scene.open({ store })).rejects.toBe(reason)
    expect(scene.clock.pending).toBe(0)
  })
})

describe('AcmeCertificates whose attempts fail', () => {
  it('raises an alarm, logs and stores why and when it tries again, and then does', async () => {
    const scene = await setUp()
    scene.authority.refuses = () => 'no route'
    await scene.start()
    await scene.untilFailed(1)
    const nextAt = scene.clock.wallTime() + 10 * MINUTE_MS
    const next = new Date(nextAt).toISOString()
    const [failed] = scene.events('acme.failed')
    expect(failed).toEqual({ domain: NAME, failures: 1, reason: expect.stringContaining('no route'), next })
    expect(scene.alarms.get(ALARM)).toBe(`${failed?.reason}; next attempt ${next}`)
    expect(scene.store.state.attempts[NAME]).toEqual({ failures: 1, nextAt, type: undefined })
    scene.clock.advance(10 * MINUTE_MS - 1)
    await settle()
    expect(scene.events('acme.order')).toHaveLength(2)
    scene.clock.advance(1)
    await scene.untilFailed(2)
    expect(scene.events('acme.failed')[1]).toMatchObject({ failures: 2 })
    scene.authority.refuses = () => undefined
    scene.clock.advance(20 * MINUTE_MS)
    await scene.untilUsed(1)
    expect(scene.alarms.size).toBe(0)
    expect(scene.store.state.attempts[NAME]?.failures).toBe(0)
  })

  it('tries the second way when the name can not be validated in the first, and begins with what worked', async () => {
    const scene = await setUp()
    scene.authority.refuses = (_name, type) => (type === 'tls-alpn-01' ? 'nothing listens' : undefined)
    await scene.start()
    await scene.untilUsed(1)
    expect([scene.kinds, scene.answers.size]).toEqual([['tls', 'http'], 0])
    scene.clock.advance(60 * DAY_MS)
    await scene.untilUsed(2)
    expect(scene.kinds).toEqual(['tls', 'http', 'http'])
  })

  it('tells both reasons when neither works', async () => {
    const scene = await setUp()
    scene.authority.refuses = (_name, type) => `not by ${type}`
    await scene.start()
    await scene.untilFailed(1)
    expect(scene.alarms.get(ALARM)).toMatch(/: connection: not by tls-alpn-01; .*: connection: not by http-01; next/)
  })

  it('does not try another way for another reason', async () => {
    const scene = await setUp()
    scene.authority.hook = ({ path }) => (path === '/orders' ? problem(403, 'rejectedIdentifier') : undefined)
    await scene.start()
    await scene.untilFailed(1)
    expect(scene.events('acme.order')).toEqual([{ domain: NAME, validation: 'tls-alpn-01' }])
  })

  it('has one way where no port takes HTTP, whatever worked before', async () => {
    const scene = await setUp()
    scene.authority.refuses = (_name, type) => (type === 'tls-alpn-01' ? 'no' : undefined)
    await (await scene.start()).close()
    await scene.start({ putHttpAnswer: undefined })
    await scene.untilFailed(1)
    expect(scene.kinds).not.toContain('http')
  })

  it('leaves the authority alone for as long as that wants', async () => {
    const scene = await setUp()
    scene.authority.hook = ({ path }) =>
      path === '/orders' ? problem(429, 'rateLimited', { 'retry-after': '86400' }) : undefined
    await scene.start()
    await scene.untilFailed(1)
    scene.authority.log.length = 0
    scene.clock.advance(DAY_MS - 1)
    await settle()
    expect(scene.authority.log).toEqual([])
    scene.clock.advance(1)
    await scene.untilFailed(2)
  })

  it('waits a minute at most after a start, and knows how often it failed', async () => {
    const scene = await setUp()
    scene.authority.refuses = () => 'no'
    const first = await scene.start()
    await scene.untilFailed(1)
    await first.close()
    await scene.start()
    scene.clock.advance(MINUTE_MS - 1)
    await settle()
    expect(scene.events('acme.failed')).toHaveLength(1)
    scene.clock.advance(1)
    await scene.untilFailed(2)
    expect(scene.events('acme.failed')[1]).toMatchObject({ failures: 2 })
  })

  it('leaves the authority alone after a start, too, for as long as that wants', async () => {
    const scene = await setUp()
    const busy = (): Response => problem(503, 'serverInternal', { 'retry-after': '3600' })
    scene.authority.hook = ({ path }) => (path === '/orders' ? busy() : undefined)
    const first = await scene.start()
    await scene.untilFailed(1)
    await first.close()
    await scene.start()
    scene.clock.advance(60 * MINUTE_MS - 1)
    await settle()
    expect(scene.orders).toBe(1)
    scene.clock.advance(1)
    await scene.untilFailed(2)
  })

  it('keeps the certificate that is in use', async () => {
    const scene = await setUp()
    await scene.start()
    await scene.untilUsed(1)
    const before = scene.store.state.certificates[NAME]
    scene.authority.refuses = () => 'no'
    scene.clock.advance(60 * DAY_MS)
    await scene.untilFailed(1)
    expect([scene.store.state.certificates[NAME], scene.used.length]).toEqual([before, 1])
  })

  it('does not ask for a certificate again that it has but can not use', async () => {
    const scene = await setUp()
    const use = (): never => {
      throw new Error('no room')
    }
    const first = await scene.start({ use })
    await until(() => scene.store.state.certificates[NAME] !== undefined && scene.clock.pending === 1)
    expect(scene.events('acme.not-used')).toEqual([{ domain: NAME, reason: "the certificate can't be used: no room" }])
    expect(scene.alarms.get(ALARM)).toContain('no room')
    scene.clock.advance(40 * DAY_MS)
    await settle()
    await first.close()
    await scene.start({ use })
    scene.clock.advance(10 * DAY_MS)
    await settle()
    expect([scene.orders, scene.events('acme.not-used').length]).toEqual([1, 2])
  })
})

describe('AcmeCertificates.retry()', () => {
  it('tries again at once what has failed, and nothing else', async () => {
    const scene = await setUp()
    scene.authority.refuses = (name) => (name === NAME ? 'no' : undefined)
    const certificates = await scene.start({ domains: [NAME, OTHER] })
    await scene.untilUsed(1, 2)
    scene.authority.refuses = () => undefined
    certificates.retry()
    scene.clock.advance(0)
    await scene.untilUsed(2, 2)
    expect(scene.used.map(([domain]) => domain)).toEqual([OTHER, NAME])
    certificates.retry()
    scene.clock.advance(0)
    await settle()
    expect([scene.orders, scene.clock.pending]).toEqual([4, 2])
  })

  it('asks for one certificate, not for two, while an attempt is under way', async () => {
    const scene = await setUp()
    scene.authority.refuses = () => 'no'
    const certificates = await scene.start()
    await scene.untilFailed(1)
    scene.authority.refuses = () => undefined
    certificates.retry()
    scene.clock.advance(0)
    for (let times = 0; times < 3; times += 1) {
      certificates.retry()
      scene.clock.advance(0)
      await settle()
    }
    await scene.untilUsed(1)
    scene.clock.advance(0)
    await settle()
    expect(scene.orders).toBe(3)
  })

  it('tries once more when an attempt fails that was under way', async () => {
    const scene = await setUp()
    scene.authority.refuses = () => 'no'
    const retryOnce = (): void => {
      if (scene.events('acme.failed').length === 0) return
      certificates.retry()
      certificates.retry()
      scene.authority.refuses = () => undefined
    }
    // while it is written that it failed
    const store = {
      load: () => scene.store.load(),
      save: (state: AcmeState) => {
        if (state.attempts[NAME]?.failures === 1) retryOnce()
        return scene.store.save(state)
      },
    }
    const certificates = await scene.start({ store })
    await until(() => scene.events('acme.failed').length === 1 && scene.clock.pending === 1)
    scene.clock.advance(0)
    await scene.untilUsed(1)
    scene.clock.advance(0)
    await settle()
    expect([scene.orders, scene.events('acme.failed').length]).toEqual([3, 1])
  })

  it('does nothing after close()', async () => {
    const scene = await setUp()
    scene.authority.refuses = () => 'no'
    const certificates = await scene.start()
    await scene.untilFailed(1)
    await certificates.close()
    certificates.retry()
    certificates.start()
    expect(scene.clock.pending).toBe(0)
  })
})

describe('AcmeCertificates and a calendar that is set', () => {
  it('renews when it is set forward, once', async () => {
    const scene = await setUp()
    await scene.start()
    await scene.untilUsed(1)
    scene.clock.epoch += 70 * DAY_MS
    scene.clock.advance(DAY_MS)
    await scene.untilUsed(2)
    scene.clock.advance(5 * DAY_MS)
    await settle()
    expect(scene.orders).toBe(2)
  })

  it('asks for one certificate a day at most, however it jumps', async () => {
    const scene = await setUp()
    await scene.start()
    await scene.untilUsed(1)
    for (let hour = 0; hour < 23; hour += 1) {
      scene.clock.epoch += 1_000 * DAY_MS * (hour % 2 === 0 ? 1 : -1)
      scene.clock.advance(60 * MINUTE_MS)
      await settle()
    }
    expect(scene.orders).toBe(1)
  })

  it('renews in time after it is set back by years', async () => {
    const scene = await setUp()
    scene.clock.epoch += 3_650 * DAY_MS
    await scene.start()
    await scene.untilUsed(1)
    scene.clock.epoch -= 3_650 * DAY_MS
    scene.clock.advance(54 * DAY_MS)
    await settle()
    expect(scene.orders).toBe(1)
    scene.clock.advance(6 * DAY_MS)
    await scene.untilUsed(2)
  })

  it('renews in time a certificate that seems to come from the future, after a start', async () => {
    const scene = await setUp()
    const first = await scene.start()
    await scene.untilUsed(1)
    await first.close()
    const { state } = scene.store
    const [kept] = Object.values(state.certificates)
    if (kept === undefined) throw new Error('nothing was stored')
    state.certificates[NAME] = { ...kept, obtainedAt: kept.obtainedAt + 3_650 * DAY_MS }
    await scene.store.save(state)
    await scene.start()
    scene.clock.advance(60 * DAY_MS)
    await scene.untilUsed(3)
    expect(scene.authority.issued).toBe(2)
  })

  it('tries again in time what failed before it was set back', async () => {
    const scene = await setUp()
    scene.authority.refuses = () => 'no'
    await scene.start()
    await scene.untilFailed(1)
    scene.clock.epoch -= 3_650 * DAY_MS
    scene.clock.advance(10 * MINUTE_MS)
    await scene.untilFailed(2)
  })
})

describe('AcmeCertificates.close()', () => {
  it.each([
    '/directory',
    '/account',
    '/orders',
    '/authorization/0',
    '/challenge/0/tls-alpn-01',
    '/order/0',
    '/finalize/0',
    '/certificate/0',
  ])('ends an attempt that waits for %s, and leaves no timer, no answer and no alarm', async (where) => {
    const scene = await setUp()
    scene.authority.hook = (asked) => (asked.path === where ? hang(asked) : undefined)
    const certificates = await scene.start({ domains: [NAME, OTHER] })
    await until(() => scene.authority.log.some((line) => line.endsWith(where)))
    const asked = scene.authority.log.length
    await certificates.close()
    await certificates.close()
    expect([scene.clock.pending, scene.answers.size, scene.alarms.size]).toEqual([0, 0, 0])
    expect(scene.events('acme.failed')).toEqual([])
    expect(scene.authority.log).toHaveLength(asked)
  })

  it('waits until what was obtained is written', async () => {
    const scene = await setUp()
    let write = (): void => {}
    let isHeld = false
    const store = {
      load: () => scene.store.load(),
      save: async (state: AcmeState): Promise<void> => {
        if (state.certificates[NAME] !== undefined) {
          isHeld = true
          await new Promise<void>((resolve) => {
            write = resolve
          })
        }
        await scene.store.save(state)
      },
    }
    const certificates = await scene.start({ store })
    await until(() => isHeld)
    let isClosed = false
    const closing = certificates.close().then(() => {
      isClosed = true
    })
    await settle()
    expect(isClosed).toBe(false)
    write()
    await closing
    expect(scene.store.state.certificates[NAME]).toBeDefined()
    expect(scene.clock.pending).toBe(0)
  })

  it('before start(), or without anything to wait for, is fine', async () => {
    const scene = await setUp()
    const certificates = await scene.open()
    await certificates.close()
    certificates.start()
    expect([scene.clock.pending, scene.authority.log]).toEqual([0, []])
  })
})
