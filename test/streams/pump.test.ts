import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { INITIAL_WINDOW_BYTES, MIB } from '../../src/protocol/limits.js'
import { pump } from '../../src/streams/pump.js'
import { pattern } from '../contract/pattern.js'
import { sessionPair, TARGET } from '../mux/fixture.js'
import { settle } from '../support/manual-clock.js'
import { memoryStreamPair, TestPeer } from '../support/memory-stream.js'

/** left application - stream - pump - stream - right application */
function joined(chunkSize?: number) {
  const options = chunkSize === undefined ? {} : { chunkSize }
  const [left, a] = memoryStreamPair(options)
  const [b, right] = memoryStreamPair(options)
  pump(a, b)
  return { left, right, a, b }
}

describe('pump', () => {
  it.each([1, 7, 100_000])('passes data and half-closes both ways, in pieces of %i bytes', async (chunkSize) => {
    const { left, right, a, b } = joined(chunkSize)
    const [near, far] = [new TestPeer(left), new TestPeer(right)]
    near.write('request')
    near.end()
    expect(new TextDecoder().decode(await far.readAll())).toBe('request')
    far.write('answer after the end')
    far.end()
    expect(new TextDecoder().decode(await near.readAll())).toBe('answer after the end')
    await near.untilClosed()
    await far.untilClosed()
    expect([near.error, far.error, a.closed, b.closed]).toEqual([undefined, undefined, true, true])
  })

  it.each([
    ['in order', 'a'],
    ['in order', 'b'],
    ['with an error', 'a'],
    ['with an error', 'b'],
  ] as const)('calls back once when the first stream has closed %s, by the side of %s', async (how, side) => {
    const [left, a] = memoryStreamPair()
    const [b, right] = memoryStreamPair()
    let calls = 0
    pump(a, b, () => {
      calls += 1
    })
    const [near, far] = [new TestPeer(left), new TestPeer(right)]
    await settle()
    expect(calls).toBe(0)
    const [first, second] = side === 'a' ? [near, far] : [far, near]
    if (how === 'in order') {
      first.end()
      await settle()
      expect(calls).toBe(0)
      second.end()
    } else first.abort(new LinkSocksError('ERR_CANCELLED', 'gone'))
    await settle()
    expect([calls, a.closed, b.closed]).toEqual([1, true, true])
  })

  it('passes a reset on, in both directions', async () => {
    for (const turned of [false, true]) {
      const { left, right } = joined()
      const [near, far] = [new TestPeer(turned ? right : left), new TestPeer(turned ? left : right)]
      near.abort(new LinkSocksError('ERR_CANCELLED', 'gone'))
      expect(await far.untilClosed()).toMatchObject({ code: 'ERR_STREAM_RESET' })
    }
  })

  it('reads no faster than the other side takes', async () => {
    const { left, right, a } = joined()
    const near = new TestPeer(left)
    const far = new TestPeer(right, { consume: false })
    for (let i = 0; i < 20; i += 1) near.write(new Uint8Array(100_000))
    await settle()
    expect(near.writtenBytes).toBeLessThanOrEqual(2 * 256 * 1024)
    expect(a.unconsumed).toBeLessThanOrEqual(256 * 1024)
    far.stream.consume(far.receivedBytes)
    await settle()
    expect(far.receivedBytes).toBeGreaterThan(256 * 1024)
  })

  it.each([false, true])(
    'joins a channel whose early bytes wait with a stream (channel second: %s)',
    async (second) => {
      const pair = sessionPair()
      pair.accepter.accepting = false
      const near = new TestPeer(await pair.near.dialer(true).dial(TARGET))
      near.write(pattern(3 * MIB))
      near.end()
      await settle()
      const channel = pair.accepter.channel()
      const [b, right] = memoryStreamPair()
      const far = new TestPeer(right)
      channel.accept()
      if (second) pump(b, channel)
      else pump(channel, b)
      await far.until(() => far.ended)
      expect(Buffer.compare(far.buffered, pattern(3 * MIB))).toBe(0)
    },
  )

  it('joins two channels, early bytes and all, and loses no credit', async () => {
    const [first, second] = [sessionPair(), sessionPair()]
    first.accepter.accepting = false
    const near = new TestPeer(await first.near.dialer(true).dial(TARGET))
    near.write(pattern(3 * INITIAL_WINDOW_BYTES))
    await settle()
    const middle = first.accepter.channel()
    middle.accept()
    await settle()
    const onward = await second.open()
    const far = new TestPeer(onward.far)
    pump(middle, onward.near)
    await far.until(() => far.receivedBytes === 3 * INITIAL_WINDOW_BYTES)
    far.write(pattern(3 * INITIAL_WINDOW_BYTES))
    far.end()
    near.end()
    await Promise.all([near.untilClosed(), far.untilClosed()])
    expect([near.receivedBytes, near.error, far.error]).toEqual([3 * INITIAL_WINDOW_BYTES, undefined, undefined])
    for (const { near: one, far: other } of [first, second]) {
      expect([one.session.channels, other.session.channels]).toEqual([0, 0])
    }
  })
})
