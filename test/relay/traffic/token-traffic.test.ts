import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PolicyQuota } from '../../../src/policy-fields.js'
import type { TokenUsage } from '../../../src/ports.js'
import { Flow } from '../../../src/relay/traffic/flow.js'
import { type QuotaState, TokenTraffic, type TrafficLimits } from '../../../src/relay/traffic/token-traffic.js'
import type { Direction } from '../../../src/relay/traffic/usage.js'
import { ManualClock } from '../../support/manual-clock.js'

const DAY_MS = 86_400_000

function open(limits: TrafficLimits, clock = new ManualClock()) {
  const told: [what: string, used: number][] = []
  const note =
    (what: string) =>
    (_: string, { used }: QuotaState): void =>
      void told.push([what, used])
  const token = new TokenTraffic(clock, 'id', 0)
  token.tell({
    ...{ counted: () => {}, delayed: () => {}, droppedDatagram: () => {} },
    ...{ quotaWarning: note('warning'), quotaUsedUp: note('used up') },
  })
  token.limit(limits)
  const refused: string[] = []
  let ready = 0
  const flow = (direction: Direction = 'up', tokens: readonly TokenTraffic[] = [token]): Flow =>
    new Flow({ clock, direction, tokens, events: { ready: () => (ready += 1), refused: (why) => refused.push(why) } })
  return { clock, token, told, refused, flow, ready: () => ready }
}

/** Passes as much of `bytes` as may pass now. */
function pass(flow: Flow, bytes: number): number {
  let passed = 0
  for (let some = flow.available(bytes); some > 0 && passed < bytes; some = flow.available(bytes - passed)) {
    flow.take(some)
    passed += some
  }
  return passed
}

describe('quota of a token', () => {
  it.each([
    ['up', 'up', 100],
    ['down', 'down', 100],
    ['up', 'down', 500],
    ['down', 'up', 500],
    ['both', 'up', 100],
  ] as const)('of direction %s lets of 500 bytes %s so many pass: %i', (counted, direction, passed) => {
    const { flow } = open({ quota: { bytes: 100, period: 'total', direction: counted } })
    expect(pass(flow(direction), 500)).toBe(passed)
  })

  it('counts both directions together unless told otherwise', () => {
    const { flow, token } = open({ quota: { bytes: 100, period: 'month' } })
    expect([pass(flow('up'), 60), pass(flow('down'), 60)]).toEqual([60, 40])
    expect(token.quotaState()).toMatchObject({ used: 100, usedUp: true })
    expect(token.refusal()).toBe('quota used up until 2026-02-01 00:00 UTC')
  })

  it('of a total says no time from which on it may be used', () => {
    const { flow, token } = open({ quota: { bytes: 1, period: 'total' } })
    pass(flow(), 2)
    expect([token.refusal(), token.quotaState()?.resetsAt]).toEqual(['quota used up', undefined])
  })

  it('is told of once at 80 %, and once when it is used up', () => {
    const { flow, told } = open({ quota: { bytes: 1_000, period: 'day' } })
    const one = flow()
    for (let turn = 0; turn < 20; turn += 1) pass(one, 60)
    expect(told).toEqual([
      ['warning', 840],
      ['used up', 1_000],
    ])
  })

  it('begins anew at the next day, by the calendar, whenever timers fire', () => {
    const { clock, flow, token } = open({ quota: { bytes: 100, period: 'day' } })
    pass(flow(), 200)
    clock.epoch += DAY_MS - 1
    expect(token.usedUp).toBe(true)
    clock.epoch += 1
    expect([token.usedUp, pass(flow(), 200)]).toEqual([false, 100])
  })

  it('does not begin anew when the calendar is set on and back', () => {
    const { clock, flow } = open({ quota: { bytes: 100, period: 'day' } })
    const passed = [pass(flow(), 200)]
    for (const jump of [DAY_MS, -DAY_MS, DAY_MS]) {
      clock.epoch += jump
      passed.push(pass(flow(), 200))
    }
    expect(passed).toEqual([100, 100, 0, 0])
  })

  it('that is raised lets those go on who wait, and a reset does', () => {
    const { flow, token, ready } = open({ quota: { bytes: 100, period: 'total' } })
    const waits = flow()
    expect([pass(waits, 100), waits.available(50)]).toEqual([100, 0])
    token.limit({ quota: { bytes: 120, period: 'total' } })
    expect([ready(), pass(waits, 50)]).toEqual([1, 20])
    token.reset()
    expect([ready(), pass(waits, 200)]).toEqual([2, 120])
  })

  it('tells those who wait that nothing is left', () => {
    const { clock, flow, refused } = open({ quota: { bytes: 100, period: 'total' } })
    const waits = flow()
    pass(waits, 100)
    waits.available(1)
    clock.advance(0)
    expect(refused).toEqual(['quota used up'])
  })

  it('has those wait who find it promised to others, until they have used it or gone', () => {
    const { token, flow, ready } = open({ rate: { streamUp: 10, burst: 10 }, quota: { bytes: 100, period: 'total' } })
    const promised = flow()
    pass(promised, 10)
    // ten more are asked of the rate
    promised.available(10)
    const other = new TokenTraffic(new ManualClock(), 'other', 0)
    expect(other.limits('up')).toBe(false)
    token.limit({ quota: { bytes: 20, period: 'total' } })
    const second = flow()
    expect(second.available(10)).toBe(0)
    promised.close()
    // the rate was cleared as well, so that the first one could have gone on
    expect([ready(), pass(second, 50)]).toEqual([2, 10])
  })

  it('of a reverse token is shared by its connector tokens', () => {
    const clock = new ManualClock()
    const reverse = open({ quota: { bytes: 100, period: 'total' } }, clock)
    const [one, two] = [open({}, clock), open({ quota: { bytes: 70, period: 'total' } }, clock)]
    const first = pass(one.flow('up', [one.token, reverse.token]), 50)
    const second = pass(two.flow('up', [two.token, reverse.token]), 90)
    expect([first, second, reverse.token.usedUp, two.token.usedUp]).toEqual([50, 50, true, false])
    expect(two.token.reserve('up', 70)).toBe(20)
  })

  it('leaves alone a stream that another one ended when both hear of a new rate', () => {
    const { clock, token } = open({ rate: { streamUp: 1, burst: 1 } })
    const events = { ready: () => second.close(), refused: () => {} }
    const first = new Flow({ clock, tokens: [token], direction: 'up', events })
    const second = new Flow({ clock, tokens: [token], direction: 'up', events: { ...events, ready: () => {} } })
    for (const one of [first, second]) {
      pass(one, 1)
      one.available(1)
    }
    token.limit({})
    expect([first.waits, second.waits, second.available(1)]).toEqual([false, false, 0])
    token.limit({ rate: { streamUp: 5 } })
    first.close()
    expect(clock.pending).toBe(0)
  })

  it('goes on with what was used before a restart', () => {
    const before = open({ quota: { bytes: 100, period: 'day' } })
    pass(before.flow(), 90)
    const after = open({ quota: { bytes: 100, period: 'day' } })
    after.token.restore(before.token.usage.record)
    expect([after.token.usage.record, pass(after.flow(), 50)]).toEqual([before.token.usage.record, 10])
  })
})

/** Something that happens to a token. */
const event = fc.oneof(
  fc.record({ kind: fc.constant('pass' as const), flow: fc.nat(3), bytes: fc.integer({ min: 1, max: 3_000 }) }),
  fc.record({ kind: fc.constant('ask' as const), flow: fc.nat(3), bytes: fc.integer({ min: 1, max: 3_000 }) }),
  fc.record({ kind: fc.constant('datagram' as const), flow: fc.nat(3), bytes: fc.integer({ min: 1, max: 1_500 }) }),
  fc.record({ kind: fc.constant('close' as const), flow: fc.nat(3) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 5_000 }) }),
  fc.record({ kind: fc.constant('jump' as const), days: fc.integer({ min: -40, max: 40 }) }),
  fc.record({
    kind: fc.constant('rate' as const),
    up: fc.option(fc.integer({ min: 1, max: 50_000 }), { nil: undefined }),
  }),
  fc.constant({ kind: 'write' as const }),
  fc.constant({ kind: 'kill' as const }),
)

describe('rates and quotas of tokens', () => {
  it('let no more through than the quota for each day that the calendar was in, and what a kill forgets', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), fc.constantFrom('day', 'total'), (events, period) => {
        const quota: PolicyQuota = { bytes: 5_000, period }
        const run = new Run(quota)
        for (const one of events) run.happen(one)
        run.end()
      }),
      { numRuns: 300 },
    )
  })
})

/** A token that lives through events, with a count of what passed. */
class Run {
  readonly #clock = new ManualClock()
  readonly #quota: PolicyQuota
  #rate: number | undefined
  #token: TokenTraffic
  #flows: (Flow | undefined)[] = []
  #written: TokenUsage | undefined
  #passed = 0
  /** Of these, what was written. */
  #known = 0
  /** Lost by kills. */
  #forgotten = 0
  readonly #days = new Set<number>()

  constructor(quota: PolicyQuota) {
    this.#quota = quota
    this.#token = this.#begin()
  }

  happen(one: typeof event extends fc.Arbitrary<infer T> ? T : never): void {
    if (one.kind === 'pass') this.#count(pass(this.#flow(one.flow), one.bytes))
    else if (one.kind === 'ask') this.#flow(one.flow).available(one.bytes)
    else if (one.kind === 'datagram') this.#datagram(this.#flow(one.flow), one.bytes)
    else if (one.kind === 'close') this.#close(one.flow)
    else if (one.kind === 'wait') this.#clock.advance(one.ms)
    else if (one.kind === 'jump') this.#clock.epoch += one.days * DAY_MS
    else if (one.kind === 'rate') this.#setRate(one.up)
    else if (one.kind === 'write') this.#write()
    else this.#kill()
    this.#check()
  }

  /** Nothing is promised to nobody. */
  end(): void {
    for (const at of this.#flows.keys()) this.#close(at)
    this.#setRate(undefined)
    const { usedUp } = this.#token
    const left = pass(this.#flow(0), 10_000)
    const state = this.#token.quotaState()
    expect([left > 0, state?.used]).toEqual([!usedUp, 5_000])
  }

  #check(): void {
    const days = this.#quota.period === 'total' ? 1 : this.#days.size
    expect(this.#passed).toBeLessThanOrEqual(days * this.#quota.bytes + this.#forgotten)
  }

  #begin(): TokenTraffic {
    const token = new TokenTraffic(this.#clock, 'id', 0)
    if (this.#written !== undefined) token.restore(this.#written)
    token.limit({ quota: this.#quota, rate: this.#rate === undefined ? undefined : { up: this.#rate, burst: 500 } })
    return token
  }

  #flow(at: number): Flow {
    const tokens = [this.#token]
    this.#flows[at] ??= new Flow({
      ...{ clock: this.#clock, tokens, events: { ready: () => {}, refused: () => {} } },
      direction: at % 2 === 0 ? 'up' : 'down',
    })
    return this.#flows[at]
  }

  #datagram(flow: Flow, bytes: number): void {
    if (!flow.admits(bytes)) return
    flow.take(bytes)
    this.#count(bytes)
  }

  #count(bytes: number): void {
    this.#passed += bytes
    if (bytes > 0) this.#days.add(Math.floor(this.#clock.wallTime() / DAY_MS))
  }

  #close(at: number): void {
    this.#flows[at]?.close()
    this.#flows[at] = undefined
  }

  #setRate(up: number | undefined): void {
    this.#rate = up
    this.#token.limit({ quota: this.#quota, rate: up === undefined ? undefined : { up, burst: 500 } })
  }

  #write(): void {
    this.#written = this.#token.usage.record
    this.#known = this.#passed
  }

  #kill(): void {
    this.#forgotten += this.#passed - this.#known
    this.#known = this.#passed
    for (const at of this.#flows.keys()) this.#close(at)
    this.#token = this.#begin()
  }
}
