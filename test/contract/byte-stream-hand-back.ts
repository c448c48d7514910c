import { expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { until } from '../support/wait.js'
import { pattern } from './pattern.js'
import type { TestEnds } from './stream-ends.js'
import type { StreamRecorder } from './stream-recorder.js'

const MIB = 1024 * 1024

/** What `a` has delivered to its first handler by now, without consuming any of it. */
async function delivered(ends: TestEnds, bytes: Uint8Array): Promise<void> {
  ends.toA.consuming = false
  ends.startBoth()
  ends.b.write(bytes)
  await until(() => ends.toA.received === bytes.byteLength)
}

/** Hands `a` back with all that its first handler did not consume, to a second one that is not started yet. */
function handedBack(ends: TestEnds): StreamRecorder {
  ends.a.handBack(ends.toA.unread())
  return ends.another()
}

export function describeHandBack(ends: TestEnds, maxInTransitBytes: number): void {
  it('gives everything to the second handler when nothing had come before handBack()', async () => {
    ends.startBoth()
    const second = handedBack(ends)
    second.start()
    ends.b.write(pattern(10_000))
    ends.a.write(pattern(1_000))
    await until(() => second.received === 10_000 && second.written === 1_000)
    ends.b.end()
    ends.a.end()
    await until(() => second.closed)
    expect(Buffer.compare(second.bytes(), pattern(10_000))).toBe(0)
    expect([second.ends, second.closes]).toEqual([1, [undefined]])
    expect([ends.toA.received, ends.toA.written, ends.toA.ends, ends.toA.closed]).toEqual([0, 0, 0, false])
  })

  it('takes no second handler without handBack()', async () => {
    ends.startBoth()
    expect(() => ends.another().start()).toThrow(TypeError)
    ends.b.write(pattern(10))
    await until(() => ends.toA.received === 10)
    expect(() => ends.another().start()).toThrow(TypeError)
  })

  it('delivers unread bytes first, in order, and takes them as consumed once', async () => {
    const bytes = pattern(4_000)
    await delivered(ends, bytes.subarray(0, 2_000))
    ends.toA.consume(800)
    const second = handedBack(ends)
    ends.b.write(bytes.subarray(2_000))
    second.start()
    await until(() => second.received === 3_200)
    expect(Buffer.compare(second.bytes(), bytes.subarray(800))).toBe(0)
    // with a count that is wrong the sender would come to a stop
    ends.b.write(pattern(2 * MIB, 2))
    await until(() => second.received === 3_200 + 2 * MIB)
    expect(ends.toA.received).toBe(2_000)
  })

  it.each([0, 1, 2, 3, 4, 5, 6])('loses no byte when the first handler takes %i of six', async (taken) => {
    const bytes = pattern(6)
    await delivered(ends, bytes)
    ends.toA.consume(taken)
    ends.a.handBack(Array.from(bytes.subarray(taken), (byte) => Uint8Array.of(byte)))
    const second = ends.another()
    second.start()
    ends.b.write(pattern(6, 2))
    ends.b.end()
    await until(() => second.ends === 1)
    expect(Buffer.concat([bytes.subarray(0, taken), second.bytes()])).toEqual(Buffer.concat([bytes, pattern(6, 2)]))
  })

  it('delivers nothing between handBack() and start(), and loses nothing', async () => {
    await delivered(ends, pattern(100))
    const second = handedBack(ends)
    ends.b.write(pattern(100, 2))
    ends.b.end()
    await ends.still(() => second.received + ends.toA.received)
    expect([second.received, ends.toA.received, ends.toA.ends]).toEqual([0, 100, 0])
    second.start()
    await until(() => second.ends === 1)
    expect(Buffer.from(second.bytes())).toEqual(Buffer.concat([pattern(100), pattern(100, 2)]))
  })

  it('reports a half-close again that the first handler has heard of', async () => {
    await delivered(ends, pattern(100))
    ends.b.end()
    await until(() => ends.toA.ends === 1)
    const second = handedBack(ends)
    second.start()
    await until(() => second.ends === 1)
    expect(Buffer.compare(second.bytes(), pattern(100))).toBe(0)
    ends.a.write(pattern(100, 2))
    ends.a.end()
    await until(() => second.closed && ends.toB.closed)
    expect([second.ends, second.closes, second.written, ends.toB.received]).toEqual([1, [undefined], 100, 100])
  })

  it('reports an orderly close again that the first handler has heard of', async () => {
    await delivered(ends, pattern(100))
    ends.b.end()
    ends.a.end()
    await until(() => ends.toA.closed)
    const second = handedBack(ends)
    second.start()
    await until(() => second.closed)
    await ends.still(() => second.received)
    expect(Buffer.compare(second.bytes(), pattern(100))).toBe(0)
    expect([second.ends, second.closes]).toEqual([1, [undefined]])
  })

  it('reports an orderly close that came before the second start()', async () => {
    await delivered(ends, pattern(100))
    const second = handedBack(ends)
    ends.a.end()
    ends.b.end()
    await until(() => ends.toB.ends === 1)
    await ends.still(() => ends.toB.closes.length)
    second.start()
    await until(() => second.closed)
    expect(Buffer.compare(second.bytes(), pattern(100))).toBe(0)
    expect([second.ends, second.closes, ends.toA.closed]).toEqual([1, [undefined], false])
  })

  it('reports an abort that came before the second start()', async () => {
    ends.startBoth()
    const second = handedBack(ends)
    const error = new LinkSocksError('ERR_CANCELLED', 'enough')
    ends.a.abort(error)
    await ends.still(() => ends.toA.closes.length)
    second.start()
    await until(() => second.closed)
    expect([second.closes, ends.toA.closed]).toEqual([[error], false])
  })

  it('goes on with a sender that was stopped by what is unread', async () => {
    ends.toA.consuming = false
    ends.startBoth()
    const bytes = pattern(maxInTransitBytes + MIB)
    ends.b.write(bytes)
    await ends.still(() => ends.toA.received)
    expect(ends.toA.received).toBeLessThan(bytes.byteLength)
    const second = handedBack(ends)
    second.start()
    await until(() => second.received === bytes.byteLength)
    expect(Buffer.compare(second.bytes(), bytes)).toBe(0)
  })

  it('reports to the second handler only what is written after handBack()', async () => {
    ends.toB.consuming = false
    ends.startBoth()
    const before = maxInTransitBytes + MIB
    ends.a.write(pattern(before))
    await ends.still(() => ends.toA.written)
    const second = handedBack(ends)
    const heard = ends.toA.written
    ends.a.write(pattern(300))
    second.start()
    ends.a.write(pattern(700))
    ends.toB.consumeAll()
    await until(() => ends.toB.received === before + 1_000 && second.written === 1_000)
    await ends.still(() => second.written)
    expect([second.written, ends.toA.written]).toEqual([1_000, heard])
  })

  it('can be handed back again, before and after the second start()', async () => {
    const bytes = pattern(1_000)
    await delivered(ends, bytes)
    ends.toA.consume(100)
    ends.a.handBack(ends.toA.unread())
    const second = ends.another()
    second.consuming = false
    second.start()
    // some streams deliver inside start(), others a moment later
    ends.a.handBack(second.unread())
    const third = ends.another()
    third.consuming = false
    third.start()
    await until(() => third.received === 900)
    third.consume(300)
    ends.a.handBack(third.unread())
    const fourth = ends.another()
    fourth.start()
    ends.b.end()
    ends.a.write(bytes)
    await until(() => fourth.ends === 1 && fourth.written === 1_000)
    expect(Buffer.compare(fourth.bytes(), bytes.subarray(400))).toBe(0)
    expect([second, third].map(({ ends: heard, written }) => [heard, written])).toEqual([
      [0, 0],
      [0, 0],
    ])
  })

  it('can be handed back from inside data()', async () => {
    const second = ends.another()
    ends.toA.consuming = false
    ends.toA.onData = () => {
      ends.a.handBack(ends.toA.unread())
      second.start()
    }
    ends.startBoth()
    ends.b.write(pattern(MIB))
    ends.b.end()
    await until(() => second.ends === 1)
    expect(ends.toA.chunks.length).toBe(1)
    expect(Buffer.compare(second.bytes(), pattern(MIB))).toBe(0)
  })

  it('can be handed back from inside written()', async () => {
    await delivered(ends, pattern(100))
    const second = handedBack(ends)
    const third = ends.another()
    ends.a.write(pattern(1_000))
    await ends.still(() => ends.toB.received)
    second.onWritten = () => {
      second.onWritten = () => {}
      ends.a.handBack(second.unread())
      third.start()
    }
    second.start()
    ends.b.write(pattern(500, 2))
    ends.b.end()
    await until(() => third.ends === 1)
    expect([second.received + third.received, second.ends]).toEqual([600, 0])
  })

  it.each(['close', 'abort'] as const)('delivers nothing of what is unread after %s()', async (how) => {
    await delivered(ends, pattern(100))
    const second = handedBack(ends)
    const error = new LinkSocksError('ERR_CANCELLED', 'enough')
    if (how === 'close') ends.a.close()
    else ends.a.abort(error)
    ends.b.end()
    second.start()
    await until(() => second.closed)
    expect([second.received, second.ends, second.closes]).toEqual([0, 0, [how === 'close' ? undefined : error]])
  })

  it.each(['close', 'abort'] as const)(
    'delivers no more of what is unread when the handler calls %s()',
    async (how) => {
      await delivered(ends, pattern(100))
      ends.a.handBack([pattern(50), pattern(100).subarray(50)])
      const second = ends.another()
      second.consuming = false
      second.onData = () =>
        how === 'close' ? ends.a.close() : ends.a.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
      second.start()
      ends.b.end()
      await until(() => second.closed)
      expect([second.received, second.ends, second.closes.length]).toEqual([50, 0, 1])
    },
  )
}
