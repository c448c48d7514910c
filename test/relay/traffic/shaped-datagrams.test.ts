import { describe, expect, it } from 'vitest'
import {
  MAX_WAITING_BYTES,
  MAX_WAITING_DATAGRAMS,
  ShapedDatagrams,
} from '../../../src/relay/traffic/shaped-datagrams.js'
import { Shaping } from '../../../src/relay/traffic/shaping.js'
import { TokenTraffic, type TrafficLimits } from '../../../src/relay/traffic/token-traffic.js'
import { ManualClock } from '../../support/manual-clock.js'

function open(limits: TrafficLimits) {
  const clock = new ManualClock()
  const token = new TokenTraffic(clock, 'id', 0)
  token.limit(limits)
  const passed: number[] = []
  const datagrams = new ShapedDatagrams<number>(new Shaping(clock, [token]), 'up', (one) => passed.push(one))
  return { clock, token, passed, datagrams }
}

describe('ShapedDatagrams', () => {
  it('passes on at once what nothing limits', () => {
    const { datagrams, passed, token, clock } = open({})
    for (let one = 0; one < 1_000; one += 1) datagrams.send(one, 1_000)
    expect([passed.length, token.usage.of('total', clock.wallTime()).up]).toEqual([1_000, 1_000_000])
  })

  it('passes on at the rate, in order, and drops the oldest of too many', () => {
    const { datagrams, passed, token, clock } = open({ rate: { up: 10_000, burst: 1_000 } })
    for (let one = 0; one < 100; one += 1) datagrams.send(one, 1_000)
    clock.advance(1_000)
    // the first had the burst; one more was asked for when others pushed it out
    expect(passed.slice(0, 3)).toEqual([0, 36, 37])
    expect([passed.length, token.droppedDatagrams]).toEqual([11, 100 - 1 - MAX_WAITING_DATAGRAMS])
    clock.advance(60_000)
    expect([passed.length, passed.at(-1)]).toEqual([1 + MAX_WAITING_DATAGRAMS, 99])
  })

  it('holds no more bytes than it may', () => {
    const { datagrams, token } = open({ rate: { up: 1, burst: 1 } })
    for (let one = 0; one < 20; one += 1) datagrams.send(one, 32_000)
    expect(20 - 1 - token.droppedDatagrams).toBe(Math.floor(MAX_WAITING_BYTES / 32_000))
  })

  it('lets a datagram pass that is larger than the burst', () => {
    const { datagrams, passed, clock } = open({ rate: { up: 1_000, burst: 100 } })
    datagrams.send(1, 50_000)
    datagrams.send(2, 100)
    clock.advance(49_000)
    expect(passed).toEqual([1])
    clock.advance(2_000)
    expect(passed).toEqual([1, 2])
  })

  it('drops and counts what a quota does not let through, none in part', () => {
    const { datagrams, passed, token, clock } = open({ quota: { bytes: 2_500, period: 'total' } })
    for (let one = 0; one < 5; one += 1) datagrams.send(one, 1_000)
    clock.advance(1_000)
    expect([passed, token.usage.of('total', 0).up, token.droppedDatagrams]).toEqual([[0, 1], 2_000, 3])
    datagrams.close()
    expect(clock.pending).toBe(0)
  })

  it('copies what it keeps for later, and nothing else', () => {
    const { datagrams, clock, passed } = open({ rate: { up: 1_000, burst: 1_000 } })
    const copies: number[] = []
    const keep = (one: number): number => {
      copies.push(one)
      return one
    }
    datagrams.send(1, 1_000, keep)
    datagrams.send(2, 1_000, keep)
    clock.advance(1_000)
    expect([copies, passed]).toEqual([[2], [1, 2]])
  })

  it('passes nothing on once it is closed', () => {
    const { datagrams, passed, clock } = open({ rate: { up: 1_000, burst: 1_000 } })
    for (let one = 0; one < 5; one += 1) datagrams.send(one, 1_000)
    datagrams.close()
    clock.advance(60_000)
    expect([passed, clock.pending]).toEqual([[0], 0])
  })
})
