import { describe, expect, it } from 'vitest'
import { LeakyCount } from '../../src/leaky-count.js'

describe('LeakyCount', () => {
  it('forgives one each time the time has passed, counted from the first', () => {
    const count = new LeakyCount({ forgivenAfterMs: 100 })
    expect([count.add(1_000), count.add(1_050), count.add(1_099)]).toEqual([1, 2, 3])
    expect([count.at(1_099), count.at(1_100), count.at(1_199), count.at(1_200)]).toEqual([3, 2, 2, 1])
  })

  it('keeps what has passed of the time when it is looked at or grows', () => {
    const count = new LeakyCount({ forgivenAfterMs: 100 })
    count.add(0)
    count.add(0)
    expect([count.at(150), count.add(190), count.at(200)]).toEqual([1, 2, 1])
  })

  it('begins anew once all is forgiven: time that passed before counts for nothing', () => {
    const count = new LeakyCount({ forgivenAfterMs: 100 })
    count.add(0)
    expect(count.at(10_050)).toBe(0)
    expect([count.add(10_060), count.at(10_159), count.at(10_160)]).toEqual([1, 1, 0])
    expect(count.add(10_170)).toBe(1)
  })

  it('grows no further than its limit, and is forgiven from there', () => {
    const count = new LeakyCount({ forgivenAfterMs: 100, max: 3 })
    for (let i = 0; i < 1_000; i += 1) count.add(0)
    expect([count.at(0), count.at(100), count.at(300), count.add(300)]).toEqual([3, 2, 0, 1])
  })
})
