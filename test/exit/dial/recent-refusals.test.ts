import { describe, expect, it } from 'vitest'
import { MAX_REFUSED_ADDRESSES, RecentRefusals } from '../../../src/exit/dial/recent-refusals.js'
import type { SocketAddress } from '../../../src/ports.js'

class Judge {
  readonly asked: string[] = []
  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  allows({ host, port }: SocketAddress): boolean {
    this.asked.push(`${host}:${port}`)
    return port === this.#port
  }
}

const HOST = '192.0.2.1'

describe('RecentRefusals', () => {
  it('asks about a refused address once, and about an allowed one each time', () => {
    const refusals = new RecentRefusals()
    const judge = new Judge(80)
    const allowed = [80, 81, 80, 81, 81].map((port) => refusals.allows({ host: HOST, port }, [judge]))
    expect(allowed).toEqual([true, false, true, false, false])
    expect(judge.asked).toEqual([`${HOST}:80`, `${HOST}:81`, `${HOST}:80`])
    expect(refusals.size).toBe(1)
  })

  it('wants all judges to agree, and allows everything without one', () => {
    const refusals = new RecentRefusals()
    expect(refusals.allows({ host: HOST, port: 80 }, [new Judge(80), new Judge(81)])).toBe(false)
    expect(refusals.allows({ host: HOST, port: 80 }, [])).toBe(true)
  })

  it('forgets its refusals when a judge is another, goes, or comes', () => {
    const refusals = new RecentRefusals()
    const [first, second] = [new Judge(80), new Judge(81)]
    const ask = (...judges: readonly Judge[]): boolean => refusals.allows({ host: HOST, port: 81 }, judges)
    expect([ask(first), ask(second), ask(first), ask(first, second), ask(first)]).toEqual([
      false,
      true,
      false,
      false,
      false,
    ])
    expect(first.asked).toHaveLength(4)
  })

  it(`remembers ${MAX_REFUSED_ADDRESSES} refusals, and forgets the one unused longest`, () => {
    const refusals = new RecentRefusals()
    const judge = new Judge(0)
    const ask = (port: number): boolean => refusals.allows({ host: HOST, port }, [judge])
    for (let port = 1; port <= MAX_REFUSED_ADDRESSES; port += 1) ask(port)
    ask(1)
    ask(MAX_REFUSED_ADDRESSES + 1)
    expect([refusals.size, judge.asked.length]).toEqual([MAX_REFUSED_ADDRESSES, MAX_REFUSED_ADDRESSES + 1])
    ask(1)
    ask(2)
    expect(judge.asked.slice(MAX_REFUSED_ADDRESSES + 1)).toEqual([`${HOST}:2`])
  })

  it('starts afresh when it is cleared', () => {
    const refusals = new RecentRefusals()
    const judge = new Judge(0)
    refusals.allows({ host: HOST, port: 1 }, [judge])
    refusals.clear()
    expect(refusals.size).toBe(0)
    expect(refusals.allows({ host: HOST, port: 1 }, [judge])).toBe(false)
    expect(judge.asked).toHaveLength(2)
  })
})
