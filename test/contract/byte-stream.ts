import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../support/wait.js'
import { describeAbort, describeClose, describeEnd } from './byte-stream-endings.js'
import { describeHandBack } from './byte-stream-hand-back.js'
import { pattern } from './pattern.js'
import { type ByteStreamPair, reason, TestEnds } from './stream-ends.js'

const MIB = 1024 * 1024

export interface ByteStreamContractOptions {
  /** Upper bound of what one side may be told is written while the other consumes nothing. @default 32 MiB */
  readonly maxInTransitBytes?: number
  /** Whether the far side hears of an abort as an error. @default true */
  readonly passesAbort?: boolean
}

/** `a` and `b` of each pair are connected; neither is started. */
export function byteStreamContract(
  name: string,
  connect: () => Promise<ByteStreamPair>,
  options: ByteStreamContractOptions = {},
): void {
  describe(`${name} as a ByteStream`, () => {
    const ends = new TestEnds()
    beforeEach(async () => ends.open(await connect()))
    afterEach(() => ends.cleanup())
    const maxInTransitBytes = options.maxInTransitBytes ?? 32 * MIB
    describeTransfer(ends)
    describeBackpressure(ends, maxInTransitBytes)
    describeHandBack(ends, maxInTransitBytes)
    describeEnd(ends)
    describeClose(ends)
    describeAbort(ends, options.passesAbort ?? true)
  })
}

function describeTransfer(ends: TestEnds): void {
  it('delivers megabytes both ways at once, unchanged and in order', async () => {
    const [up, down] = [pattern(5 * MIB, 1), pattern(5 * MIB, 2)]
    ends.startBoth()
    ends.a.write(up)
    ends.b.write(down)
    ends.a.end()
    ends.b.end()
    await until(() => ends.toA.closed && ends.toB.closed)
    expect(Buffer.compare(ends.toB.bytes(), up)).toBe(0)
    expect(Buffer.compare(ends.toA.bytes(), down)).toBe(0)
    expect([ends.toA.closes, ends.toB.closes]).toEqual([[undefined], [undefined]])
  })

  it('joins writes of every size into one sequence, single bytes included', async () => {
    const bytes = pattern(3_000)
    ends.startBoth()
    for (let i = 0; i < 1_000; i++) ends.a.write(bytes.subarray(i, i + 1))
    ends.a.write(bytes.subarray(1_000))
    await until(() => ends.toB.received === bytes.byteLength)
    expect(Buffer.compare(ends.toB.bytes(), bytes)).toBe(0)
  })

  it('passes over an empty write', async () => {
    ends.startBoth()
    ends.a.write(new Uint8Array(0))
    ends.a.write(pattern(1))
    await until(() => ends.toB.received === 1)
    expect(ends.toB.chunks.every((chunk) => chunk.byteLength > 0)).toBe(true)
  })

  it('reports every byte as written, once', async () => {
    ends.startBoth()
    for (let i = 0; i < 20; i++) ends.a.write(pattern(100_000))
    await until(() => ends.toA.written === 2_000_000)
    await ends.still(() => ends.toA.written)
    expect(ends.toA.written).toBe(2_000_000)
  })

  it('delivers nothing before start() and loses nothing', async () => {
    ends.toA.start()
    ends.a.write(pattern(10_000))
    ends.a.end()
    await ends.still(() => ends.toB.received)
    expect([ends.toB.received, ends.toB.ends]).toEqual([0, 0])
    ends.toB.start()
    await until(() => ends.toB.ends === 1)
    expect(Buffer.compare(ends.toB.bytes(), pattern(10_000))).toBe(0)
  })

  it('takes writes before start() and reports them after it', async () => {
    ends.toB.start()
    ends.a.write(pattern(1_000))
    await until(() => ends.toB.received === 1_000)
    ends.toA.start()
    await until(() => ends.toA.written === 1_000)
  })
}

function describeBackpressure(ends: TestEnds, maxInTransitBytes: number): void {
  it('bounds what leaves while the reader consumes nothing, and delivers all of it later', async () => {
    const chunk = pattern(MIB)
    const chunks = Math.ceil(maxInTransitBytes / MIB) + 8
    ends.toB.consuming = false
    ends.startBoth()
    for (let i = 0; i < chunks; i++) ends.a.write(chunk)
    await ends.still(() => ends.toA.written + ends.toB.received)
    expect(ends.toA.written).toBeLessThanOrEqual(maxInTransitBytes)
    ends.toB.consumeAll()
    await until(() => ends.toB.received === chunks * MIB && ends.toA.written === chunks * MIB)
  })

  it('does not hold back the other direction', async () => {
    ends.toB.consuming = false
    ends.startBoth()
    ends.a.write(pattern(maxInTransitBytes))
    await ends.still(() => ends.toA.written)
    ends.b.write(pattern(100_000))
    await until(() => ends.toA.received === 100_000)
  })

  it('takes consume() after its end', async () => {
    ends.toB.consuming = false
    ends.startBoth()
    ends.a.write(pattern(1_000))
    await until(() => ends.toB.received === 1_000)
    ends.b.abort(reason)
    ends.b.consume(1_000)
    expect(ends.toB.closes).toEqual([reason])
  })
}
