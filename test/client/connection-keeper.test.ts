import { describe, expect, it } from 'vitest'
import { DRAINED_AFTER_MS, REFUSAL_MAY_PASS_MS, REFUSED_DELAY_MS, STABLE_AFTER_MS } from '../../src/client/backoff.js'
import { ConnectionKeeper, type ConnectionKeeperOptions, type LiveSession } from '../../src/client/connection-keeper.js'
import { type ErrorCode, LinkSocksError } from '../../src/errors.js'
import { ManualClock, settle } from '../support/manual-clock.js'
import { constantCrypto, LogRecorder } from './fixture.js'

const failure = (code: ErrorCode): LinkSocksError => new LinkSocksError(code, code)

class FakeLink implements LiveSession {
  closes = 0
  /** What it says of itself. */
  carried = false
  lose: (error?: LinkSocksError) => void = () => {}
  readonly gone = new Promise<LinkSocksError | undefined>((resolve) => {
    this.lose = resolve
  })

  useful(): boolean {
    return this.carried
  }

  async close(): Promise<void> {
    this.closes += 1
    this.lose()
  }
}

/** A keeper whose attempts the test decides. */
class Stage {
  readonly clock = new ManualClock()
  readonly log = new LogRecorder()
  /** When each attempt began. */
  readonly attempts: number[] = []
  readonly links: FakeLink[] = []
  /** What the next attempts do: fail, stay open until cancelled, or (by default) succeed. */
  readonly plan: (LinkSocksError | 'stall')[] = []
  admitted = false
  result: { readonly error: LinkSocksError | undefined } | undefined
  readonly keeper: ConnectionKeeper

  constructor(options: Partial<ConnectionKeeperOptions> = {}) {
    const { clock, log } = this
    const open = (signal: AbortSignal): Promise<LiveSession> => this.#open(signal)
    const wasAdmitted = (): boolean => this.admitted
    const defaults = { crypto: constantCrypto(255), reconnect: true, retryAuth: false }
    this.keeper = new ConnectionKeeper({ ...defaults, open, clock, log, wasAdmitted, ...options })
  }

  async run(): Promise<this> {
    void this.keeper.run().then((error) => {
      this.result = { error }
    })
    await settle()
    return this
  }

  get link(): FakeLink {
    const link = this.links.at(-1)
    if (link === undefined) throw new Error('no link yet')
    return link
  }

  async #open(signal: AbortSignal): Promise<LiveSession> {
    this.attempts.push(this.clock.now())
    const next = this.plan.shift()
    if (next === 'stall')
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    if (next instanceof LinkSocksError) throw next
    this.admitted = true
    this.links.push(new FakeLink())
    return this.link
  }
}

describe('ConnectionKeeper', () => {
  it('connects again at once after a loss', async () => {
    const stage = await new Stage().run()
    stage.link.lose(failure('ERR_LINK_LOST'))
    await stage.clock.advanceAsync(0)
    expect(stage.attempts).toEqual([0, 0])
    expect(stage.log.of('link.retry')).toEqual([{ code: 'ERR_LINK_LOST', reason: 'ERR_LINK_LOST', delayMs: 0 }])
  })

  it('waits longer from failure to failure, and begins anew after a link that was stable', async () => {
    const stage = new Stage()
    stage.plan.push(...Array.from({ length: 5 }, () => failure('ERR_CONNECT')))
    await stage.run()
    await stage.clock.advanceAsync(10_000)
    expect(stage.attempts).toEqual([0, 0, 500, 1_500, 3_500, 7_500])
    await stage.clock.advanceAsync(STABLE_AFTER_MS)
    stage.link.lose()
    await stage.clock.advanceAsync(0)
    expect(stage.attempts.at(-1)).toBe(stage.clock.now())
  })

  it('goes to the successor of a server that drains at once, unless that drained within a second', async () => {
    const stage = await new Stage().run()
    stage.link.lose(failure('ERR_SHUTTING_DOWN'))
    await stage.clock.advanceAsync(0)
    for (const livedMs of [DRAINED_AFTER_MS, DRAINED_AFTER_MS, DRAINED_AFTER_MS - 1]) {
      await stage.clock.advanceAsync(livedMs)
      stage.link.lose(failure('ERR_SHUTTING_DOWN'))
      await stage.clock.advanceAsync(0)
    }
    expect(stage.log.of('link.retry').map(({ delayMs }) => delayMs)).toEqual([0, 0, 0, 500])
  })

  it('goes on backing off while links don’t live', async () => {
    const stage = await new Stage().run()
    for (let losses = 0; losses < 3; losses += 1) {
      stage.link.lose()
      await stage.clock.advanceAsync(STABLE_AFTER_MS - 1)
    }
    expect(stage.log.of('link.retry').map(({ delayMs }) => delayMs)).toEqual([0, 500, 1_000])
  })

  it.each<ErrorCode>(['ERR_AUTH_REJECTED', 'ERR_URL', 'ERR_OPTION'])('ends with %s at first', async (code) => {
    const stage = new Stage()
    stage.plan.push(failure(code))
    await stage.run()
    expect(stage.result?.error).toMatchObject({ code })
    expect(stage.clock.pending).toBe(0)
  })

  it('tries a refused token again soon for a minute after a good link, then at least 30 s apart', async () => {
    const stage = await new Stage({ crypto: constantCrypto(255) }).run()
    stage.plan.push(...Array.from({ length: 20 }, () => failure('ERR_AUTH_REJECTED')))
    stage.link.lose()
    await stage.clock.advanceAsync(REFUSAL_MAY_PASS_MS + 4 * REFUSED_DELAY_MS)
    const waits = stage.attempts.map((at, index) => at - (stage.attempts[index - 1] ?? 0)).slice(1)
    const soon = [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000]
    expect(waits.slice(0, soon.length)).toEqual(soon)
    expect(waits.slice(soon.length)).toEqual([2 * REFUSED_DELAY_MS])
  })

  it('tries a refused token again with retryAuth, at least 30 s apart', async () => {
    const stage = new Stage({ retryAuth: true, crypto: constantCrypto(0) })
    stage.plan.push(failure('ERR_AUTH_REJECTED'), failure('ERR_AUTH_REJECTED'))
    await stage.run()
    await stage.clock.advanceAsync(3 * REFUSED_DELAY_MS)
    expect(stage.attempts).toEqual([0, REFUSED_DELAY_MS, 2 * REFUSED_DELAY_MS])
    expect(stage.links).toHaveLength(1)
  })

  it.each<ErrorCode>(['ERR_AUTH_REJECTED', 'ERR_URL'])('goes on after %s once it was admitted', async (code) => {
    const stage = await new Stage({ crypto: constantCrypto(0) }).run()
    stage.plan.push(failure(code), failure(code))
    stage.link.lose()
    await stage.clock.advanceAsync(2 * REFUSED_DELAY_MS)
    expect(stage.links).toHaveLength(2)
    const waits = stage.attempts.map((at, index) => at - (stage.attempts[index - 1] ?? 0)).slice(2)
    expect(waits).toEqual([0, 0])
  })

  it.each(['ERR_CONNECT', 'ERR_AUTH_REJECTED'] as const)('without reconnect ends with %s', async (code) => {
    const stage = new Stage({ reconnect: false, retryAuth: true })
    stage.plan.push(failure(code))
    await stage.run()
    expect(stage.result?.error).toMatchObject({ code })
  })

  it.each([failure('ERR_LINK_TIMEOUT'), undefined])(
    'without reconnect ends with the link, lost by %s',
    async (error) => {
      const stage = await new Stage({ reconnect: false }).run()
      stage.link.lose(error)
      await settle()
      expect(stage.result?.error).toMatchObject({ code: error?.code ?? 'ERR_LINK_LOST' })
    },
  )

  it('wraps what is no error of ours', async () => {
    const open = (): Promise<LiveSession> => Promise.reject(new TypeError('broken'))
    const stage = await new Stage({ reconnect: false, open }).run()
    expect(stage.result?.error).toMatchObject({ code: 'ERR_CONNECT', message: 'broken' })
  })

  it('shares one run', async () => {
    const stage = await new Stage().run()
    expect(stage.keeper.run()).toBe(stage.keeper.run())
    expect(stage.attempts).toHaveLength(1)
  })
})

describe('ConnectionKeeper.close()', () => {
  it('ends a link that is up', async () => {
    const stage = await new Stage().run()
    await stage.keeper.close()
    expect([stage.link.closes, stage.result, stage.clock.pending]).toEqual([1, { error: undefined }, 0])
  })

  it('interrupts the wait for the next attempt', async () => {
    const stage = new Stage()
    stage.plan.push(failure('ERR_CONNECT'), failure('ERR_CONNECT'))
    await stage.run()
    await stage.clock.advanceAsync(0)
    expect(stage.clock.pending).toBe(1)
    await stage.keeper.close()
    expect([stage.result, stage.clock.pending, stage.attempts.length]).toEqual([{ error: undefined }, 0, 2])
  })

  it('may come from the logger that hears of the wait', async () => {
    const stage = new Stage()
    stage.plan.push(failure('ERR_CONNECT'), failure('ERR_CONNECT'), failure('ERR_CONNECT'))
    stage.log.warn = () => {
      if (stage.attempts.length === 2) void stage.keeper.close()
    }
    await stage.run()
    await stage.clock.advanceAsync(0)
    expect([stage.result, stage.clock.pending, stage.attempts.length]).toEqual([{ error: undefined }, 0, 2])
  })

  it('interrupts an attempt', async () => {
    const stage = new Stage()
    stage.plan.push('stall')
    await stage.run()
    await stage.keeper.close()
    expect([stage.result, stage.attempts.length]).toEqual([{ error: undefined }, 1])
  })

  it('ends the link that an attempt brought all the same', async () => {
    const link = new FakeLink()
    let finish: (link: LiveSession) => void = () => {}
    const open = (): Promise<LiveSession> => new Promise((resolve) => (finish = resolve))
    const stage = await new Stage({ open }).run()
    const closed = stage.keeper.close()
    finish(link)
    await closed
    expect([link.closes, stage.result]).toEqual([1, { error: undefined }])
  })

  it('comes before the first attempt, and twice', async () => {
    const stage = new Stage()
    await stage.keeper.close()
    await stage.keeper.close()
    await stage.run()
    expect([stage.result, stage.attempts]).toEqual([{ error: undefined }, []])
  })
})

describe('a network that comes back', () => {
  /** Who watches now, and a network that may come back. */
  function network() {
    const watchers = new Set<() => void>()
    return {
      watchers,
      watchWake: (onWake: () => void) => {
        watchers.add(onWake)
        return () => void watchers.delete(onWake)
      },
      comesBack: () => {
        for (const tell of [...watchers]) tell()
      },
    }
  }

  it('ends the wait for the next attempt, each time', async () => {
    const { watchers, watchWake, comesBack } = network()
    const stage = new Stage({ watchWake })
    stage.plan.push(...Array.from({ length: 5 }, () => failure('ERR_CONNECT')))
    await stage.run()
    await stage.clock.advanceAsync(0)
    expect([stage.attempts.length, watchers.size]).toEqual([2, 1])
    comesBack()
    await settle()
    comesBack()
    await settle()
    expect([stage.attempts, watchers.size]).toEqual([[0, 0, 0, 0], 1])
  })

  it('is not watched for while a link is up, and no more after close()', async () => {
    const { watchers, watchWake } = network()
    const stage = await new Stage({ watchWake }).run()
    expect([stage.links.length, watchers.size]).toEqual([1, 0])
    stage.plan.push(...Array.from({ length: 5 }, () => failure('ERR_CONNECT')))
    stage.link.lose(failure('ERR_LINK_LOST'))
    await stage.clock.advanceAsync(0)
    expect(watchers.size).toBe(1)
    await stage.keeper.close()
    expect([watchers.size, stage.clock.pending]).toEqual([0, 0])
  })
})
