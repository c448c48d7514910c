import { describe, expect, it } from 'vitest'
import { HeadDeadlines } from '../../../src/node/http-proxy/head-deadlines.js'
import { ManualClock } from '../../support/manual-clock.js'

/** Deadlines of a connection with 5 s for its first head, and what they said. */
function fixture() {
  const clock = new ManualClock()
  const said: string[] = []
  const deadlines = new HeadDeadlines({
    clock,
    firstHeadMs: 5_000,
    late: () => said.push('late'),
    idle: () => said.push('idle'),
  })
  return { clock, said, deadlines }
}

describe('HeadDeadlines', () => {
  it('waits for the first head from the beginning, whatever comes of it', () => {
    const { clock, said, deadlines } = fixture()
    clock.advance(4_999)
    deadlines.bytesCame()
    expect(said).toEqual([])
    clock.advance(1)
    expect(said).toEqual(['late'])
  })

  it('waits for nothing while a request is served', () => {
    const { clock, said, deadlines } = fixture()
    deadlines.stop()
    deadlines.bytesCame()
    clock.advance(3_600_000)
    expect([said, clock.pending]).toEqual([[], 0])
  })

  it('gives a connection at rest 60 s, each time', () => {
    const { clock, said, deadlines } = fixture()
    for (let requests = 0; requests < 2; requests += 1) {
      deadlines.stop()
      deadlines.rest()
      clock.advance(59_999)
      expect(said).toEqual([])
    }
    clock.advance(1)
    expect(said).toEqual(['idle'])
  })

  it('gives a later head 10 s from its first byte', () => {
    const { clock, said, deadlines } = fixture()
    deadlines.rest()
    clock.advance(30_000)
    deadlines.bytesCame()
    clock.advance(5_000)
    deadlines.bytesCame()
    clock.advance(4_999)
    expect(said).toEqual([])
    clock.advance(1)
    expect(said).toEqual(['late'])
  })

  it('begins nothing when bytes come after the end', () => {
    const { clock, said, deadlines } = fixture()
    deadlines.rest()
    deadlines.stop()
    deadlines.bytesCame()
    expect([said, clock.pending]).toEqual([[], 0])
  })

  it('lets no connection rest that is to leave, and ends one at rest at once', () => {
    const { clock, said, deadlines } = fixture()
    deadlines.rest()
    deadlines.leave()
    expect([said, clock.pending]).toEqual([['idle'], 0])
    deadlines.rest()
    expect([said, clock.pending]).toEqual([['idle', 'idle'], 0])
  })

  it('waits for the first head of one that is to leave', () => {
    const { clock, said, deadlines } = fixture()
    deadlines.leave()
    expect(said).toEqual([])
    clock.advance(5_000)
    expect(said).toEqual(['late'])
  })
})
