import { expect, it } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import { until } from '../support/wait.js'
import { pattern } from './pattern.js'
import { reason, type TestEnds } from './stream-ends.js'

const MIB = 1024 * 1024

export function describeEnd(ends: TestEnds): void {
  it('half-closes after what was queued, and the other direction goes on', async () => {
    ends.startBoth()
    ends.a.write(pattern(MIB))
    ends.a.end()
    await until(() => ends.toB.ends === 1)
    expect(ends.toB.received).toBe(MIB)
    ends.b.write(pattern(MIB, 3))
    await until(() => ends.toA.received === MIB)
    expect([ends.toA.ends, ends.toA.closed, ends.toB.closed]).toEqual([0, false, false])
    ends.b.end()
    await until(() => ends.toA.closed && ends.toB.closed)
    expect([ends.toA.closes, ends.toB.closes]).toEqual([[undefined], [undefined]])
  })

  it('delivers what a slow reader has not taken before the end', async () => {
    ends.toB.consuming = false
    ends.startBoth()
    ends.a.write(pattern(3 * MIB))
    ends.a.end()
    await ends.still(() => ends.toB.received)
    ends.toB.consumeAll()
    await until(() => ends.toB.ends === 1)
    expect(Buffer.compare(ends.toB.bytes(), pattern(3 * MIB))).toBe(0)
  })

  it('ignores writes after end(), and a second end()', async () => {
    ends.startBoth()
    ends.a.write(pattern(10))
    ends.a.end()
    ends.a.write(pattern(5))
    ends.a.end()
    await until(() => ends.toB.ends === 1)
    expect(ends.toB.received).toBe(10)
    expect(ends.toA.written).toBe(10)
  })
}

export function describeClose(ends: TestEnds): void {
  it('flushes what is queued on close(), to a slow reader too', async () => {
    ends.toB.consuming = false
    ends.startBoth()
    ends.a.write(pattern(3 * MIB))
    ends.a.close()
    await ends.still(() => ends.toB.received)
    ends.toB.consumeAll()
    await until(() => ends.toB.received === 3 * MIB)
    ends.b.end()
    await until(() => ends.toA.closed && ends.toB.closed)
    expect(Buffer.compare(ends.toB.bytes(), pattern(3 * MIB))).toBe(0)
    expect([ends.toA.closes, ends.toB.closes]).toEqual([[undefined], [undefined]])
  })

  it('flushes to a peer that is writing itself', async () => {
    ends.startBoth()
    ends.b.write(pattern(2 * MIB))
    ends.a.write(pattern(2 * MIB))
    ends.a.close()
    await until(() => ends.toB.received === 2 * MIB)
    expect(ends.toB.closes.filter((error) => error !== undefined)).toEqual([])
  })

  it('delivers nothing after close()', async () => {
    ends.startBoth()
    ends.a.close()
    const before = ends.toA.received
    ends.b.write(pattern(1_000))
    ends.b.end()
    await until(() => ends.toA.closed && ends.toB.closed)
    expect([ends.toA.received, ends.toA.ends]).toEqual([before, 0])
  })

  it('reports the bytes that close() flushes', async () => {
    ends.startBoth()
    ends.a.write(pattern(MIB))
    ends.a.close()
    ends.a.write(pattern(5))
    await until(() => ends.toA.written === MIB)
    ends.b.end()
    await until(() => ends.toA.closed)
    expect(ends.toA.written).toBe(MIB)
  })

  it('takes end(), close() and a second close() after close()', async () => {
    ends.startBoth()
    ends.a.close()
    ends.a.close()
    ends.a.end()
    ends.b.end()
    await until(() => ends.toA.closed && ends.toB.closed)
    expect([ends.toA.closes, ends.toB.closes]).toEqual([[undefined], [undefined]])
  })

  it('flushes a close() made before start()', async () => {
    ends.toB.start()
    ends.a.write(pattern(1_000))
    ends.a.close()
    await until(() => ends.toB.received === 1_000)
    ends.b.end()
    ends.toA.start()
    await until(() => ends.toA.closed && ends.toB.closed)
    expect([ends.toA.closes, ends.toA.written]).toEqual([[undefined], 1_000])
  })
}

export function describeAbort(ends: TestEnds, passesAbort: boolean): void {
  it('ends both directions with the reason', async () => {
    ends.startBoth()
    ends.a.abort(reason)
    await until(() => ends.toA.closed)
    expect(ends.toA.closes).toEqual([reason])
  })

  it.runIf(passesAbort)('is seen as an error by the other side', async () => {
    ends.startBoth()
    ends.a.abort(reason)
    await until(() => ends.toB.closed)
    expect(ends.toB.closes[0]).toBeInstanceOf(LinkSocksError)
    expect(ends.toB.ends).toBe(0)
  })

  it.runIf(passesAbort)('drops what is queued and never ends a cut stream in order', async () => {
    ends.toB.consuming = false
    ends.startBoth()
    ends.a.write(pattern(16 * MIB))
    ends.a.end()
    await ends.still(() => ends.toB.received)
    ends.a.abort(reason)
    ends.toB.consumeAll()
    await until(() => ends.toB.closed)
    expect(ends.toB.ends).toBe(0)
    expect(ends.toB.received).toBeLessThan(16 * MIB)
    expect(ends.toB.closes[0]).toBeInstanceOf(LinkSocksError)
  })

  it('cuts a close() that waits for a reader', async () => {
    ends.toB.consuming = false
    ends.startBoth()
    ends.a.write(pattern(32 * MIB))
    ends.a.close()
    await ends.still(() => ends.toB.received)
    ends.a.abort(reason)
    await until(() => ends.toA.closed)
    expect(ends.toA.closes).toEqual([reason])
  })

  it('ignores everything after abort()', async () => {
    ends.startBoth()
    ends.a.abort(reason)
    ends.a.abort(new LinkSocksError('ERR_CANCELLED', 'again'))
    ends.a.write(pattern(10))
    ends.a.end()
    ends.a.close()
    await until(() => ends.toA.closed)
    await ends.still(() => ends.toB.received)
    expect([ends.toA.closes, ends.toA.written, ends.toB.received]).toEqual([[reason], 0, 0])
  })

  it('is remembered until start()', async () => {
    ends.a.abort(reason)
    ends.toA.start()
    await until(() => ends.toA.closed)
    expect(ends.toA.closes).toEqual([reason])
  })

  it('may be called from inside any callback', async () => {
    ends.toA.onData = () => ends.a.abort(reason)
    ends.startBoth()
    ends.b.write(pattern(MIB))
    await until(() => ends.toA.closed)
    expect(ends.toA.closes).toEqual([reason])
    expect(ends.toA.chunks.length).toBe(1)
  })
}
