import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { nodeClock } from '../../../src/node/system/clock.js'
import type { PolicyQuota, PolicyRate } from '../../../src/policy-fields.js'
import { ShapedStream } from '../../../src/relay/traffic/shaped-stream.js'
import { Shaping } from '../../../src/relay/traffic/shaping.js'
import { TokenTraffic } from '../../../src/relay/traffic/token-traffic.js'
import { byteStreamContract } from '../../contract/byte-stream.js'
import { pattern } from '../../contract/pattern.js'
import { StreamRecorder } from '../../contract/stream-recorder.js'
import { tcpStreamPair } from '../../node/net/sockets.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { type MemoryStreamOptions, memoryStreamPair, TestPeer } from '../../support/memory-stream.js'

const MIB = 1024 * 1024

function tokenWith(limits: { rate?: PolicyRate; quota?: PolicyQuota }, clock = nodeClock): TokenTraffic {
  const token = new TokenTraffic(clock, 'id', 0)
  token.limit(limits)
  return token
}

byteStreamContract('ShapedStream without limits', async () => {
  const [a, b] = memoryStreamPair()
  return { a: new ShapedStream(a, new Shaping(nodeClock, [tokenWith({})])), b, settle }
})

byteStreamContract('ShapedStream with a quota that lasts', async () => {
  const [a, b] = memoryStreamPair({ chunkSize: 1_500, readAheadBytes: 4_000 })
  const token = tokenWith({ quota: { bytes: 1_000 * MIB, period: 'day' } })
  return { a: new ShapedStream(a, new Shaping(nodeClock, [token])), b, settle }
})

byteStreamContract('ShapedStream over TCP with rates', async () => {
  const { a, b, ...rest } = await tcpStreamPair()
  const reverse = tokenWith({ rate: { up: 200 * MIB, down: 150 * MIB, burst: 1_000 } })
  const connector = tokenWith({ rate: { streamUp: 90 * MIB, streamDown: 100 * MIB, burst: 5_000 } })
  return { ...rest, a: new ShapedStream(a, new Shaping(nodeClock, [connector, reverse])), b }
})

function open(limits: { rate?: PolicyRate; quota?: PolicyQuota }, options: MemoryStreamOptions = {}) {
  const clock = new ManualClock()
  const token = tokenWith(limits, clock)
  const [inner, far] = memoryStreamPair(options)
  const stream = new ShapedStream(inner, new Shaping(clock, [token]))
  return { clock, token, inner, far, stream }
}

describe('ShapedStream', () => {
  it('delivers the burst at once, and the rest at the rate, unchanged', async () => {
    const { clock, far, stream } = open({ rate: { down: 10_000, burst: 5_000 } })
    const bytes = pattern(25_000)
    const near = new TestPeer(stream)
    far.write(bytes)
    far.end()
    await clock.advanceAsync(0)
    expect(near.receivedBytes).toBe(5_000)
    await clock.advanceAsync(1_000)
    // in whole pieces of 1 KiB
    expect(near.receivedBytes).toBe(5_000 + 9 * 1_024)
    await clock.advanceAsync(999)
    expect([near.receivedBytes < 25_000, near.events.includes('end')]).toEqual([true, false])
    await clock.advanceAsync(1)
    expect([near.receivedBytes, near.events.at(-1)]).toEqual([25_000, 'end'])
    expect(Buffer.compare(near.buffered, bytes)).toBe(0)
  })

  it('holds no more than the sender may have under way', async () => {
    const { clock, far, inner, stream } = open({ rate: { down: 1_000, burst: 1_000 } }, { readAheadBytes: 8_000 })
    const near = new TestPeer(stream)
    far.write(new Uint8Array(100_000))
    await clock.advanceAsync(2_000)
    expect([near.receivedBytes, inner.unconsumed]).toEqual([3_000, 8_000])
  })

  it('lets its owner close while bytes wait, which go on at the rate', async () => {
    const { clock, far, stream } = open({ rate: { up: 10_000, burst: 1_000 } })
    const there = new TestPeer(far)
    const near = new TestPeer(stream)
    stream.write(pattern(11_000))
    stream.close()
    await clock.advanceAsync(500)
    expect([there.receivedBytes, there.events.includes('end')]).toEqual([6_000, false])
    await clock.advanceAsync(500)
    expect([there.receivedBytes, there.events.includes('end')]).toEqual([11_000, true])
    far.close()
    await clock.advanceAsync(0)
    expect(near.events.at(-1)).toBe('close')
  })

  it('drops what waits when its owner aborts', async () => {
    const { clock, far, stream, token } = open({ rate: { up: 1_000, burst: 1_000 } })
    const there = new TestPeer(far)
    new TestPeer(stream)
    stream.write(new Uint8Array(50_000))
    stream.abort(new LinkSocksError('ERR_CANCELLED', 'given up'))
    await clock.advanceAsync(60_000)
    expect([there.receivedBytes <= 1_000, clock.pending]).toEqual([true, 0])
    expect(token.usage.of('total', clock.wallTime()).up).toBeLessThanOrEqual(1_000)
  })

  it('keeps bytes that wait from a handler that hands it back for the next one', async () => {
    const { clock, far, stream } = open({ rate: { down: 10_000, burst: 2_000 } })
    const first = new TestPeer(stream, { consume: false })
    far.write(pattern(4_000))
    await clock.advanceAsync(0)
    stream.handBack([first.buffered])
    const second = new StreamRecorder(stream)
    second.start()
    await clock.advanceAsync(200)
    expect(Buffer.compare(second.bytes(), pattern(4_000))).toBe(0)
  })

  it('delivers what waits after an orderly end of the stream below', async () => {
    const { clock, far, stream } = open({ rate: { down: 1_000, burst: 1_000 } })
    const near = new TestPeer(stream)
    far.write(pattern(3_000))
    far.close()
    stream.end()
    await clock.advanceAsync(1_000)
    expect([near.receivedBytes, near.events.includes('close')]).toEqual([2_000, false])
    await clock.advanceAsync(1_000)
    expect([near.receivedBytes, near.events.slice(-2)]).toEqual([3_000, ['end', 'close']])
  })

  it('gives up what waits when it is aborted after an orderly end of the stream below', async () => {
    const { clock, far, stream } = open({ rate: { down: 1_000, burst: 1_000 } })
    const near = new StreamRecorder(stream)
    near.start()
    far.write(pattern(3_000))
    far.close()
    stream.end()
    await clock.advanceAsync(0)
    const reason = new LinkSocksError('ERR_DIAL_NOT_ALLOWED', 'quota used up')
    stream.abort(reason)
    await clock.advanceAsync(0)
    expect([near.closes, clock.pending]).toEqual([[reason], 0])
  })

  it('aborts a stream that its owner has closed when the quota ends before what waits', async () => {
    const { clock, far, stream } = open({ quota: { bytes: 1_000, period: 'total' } })
    const there = new TestPeer(far)
    new TestPeer(stream)
    stream.write(new Uint8Array(1_500))
    stream.close()
    await clock.advanceAsync(0)
    expect([there.receivedBytes, there.events.at(-1)]).toEqual([1_000, 'error'])
  })

  it('counts each byte once, in its direction, for all tokens', async () => {
    const clock = new ManualClock()
    const tokens = [tokenWith({}, clock), tokenWith({ rate: { up: 1_000_000 } }, clock)]
    const [inner, far] = memoryStreamPair({ chunkSize: 7 })
    const stream = new ShapedStream(inner, new Shaping(clock, tokens))
    new TestPeer(stream)
    new TestPeer(far)
    stream.write(new Uint8Array(1_234))
    far.write(new Uint8Array(4_321))
    await clock.advanceAsync(100)
    const used = tokens.map(({ usage }) => usage.of('total', clock.wallTime()))
    expect(used).toEqual([
      { up: 1_234, down: 4_321 },
      { up: 1_234, down: 4_321 },
    ])
  })

  it('follows a rate that is set, changed and cleared while it runs', async () => {
    const { clock, far, stream, token } = open({})
    const near = new TestPeer(stream)
    far.write(new Uint8Array(100_000))
    await clock.advanceAsync(0)
    expect(near.receivedBytes).toBe(100_000)
    token.limit({ rate: { down: 1_000, burst: 1_000 } })
    far.write(new Uint8Array(100_000))
    await clock.advanceAsync(1_000)
    expect(near.receivedBytes).toBe(102_000)
    token.limit({ rate: { down: 20_000, burst: 1_000 } })
    await clock.advanceAsync(1_000)
    expect(near.receivedBytes).toBeGreaterThanOrEqual(121_000)
    expect(near.receivedBytes).toBeLessThanOrEqual(123_000)
    token.limit({})
    await clock.advanceAsync(0)
    expect(near.receivedBytes).toBe(200_000)
  })
})
