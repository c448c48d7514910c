import { afterEach, describe, expect, it, vi } from 'vitest'
import { blockPool } from '../../../src/node/net/block-pool.js'
import { FrameReader, MAX_FRAGMENTS } from '../../../src/node/websocket/frame-reader.js'
import { KIB, MAX_MESSAGE_BYTES, MIB } from '../../../src/protocol/limits.js'
import { frame, hex, read } from './frames.js'

const CONTINUATION = 0
const BINARY = 2
const PING = 9

/** Sums up what is taken from the pool, whether pooled or not. */
function watchMemory(): { bytes: () => number } {
  const taken = vi.spyOn(blockPool, 'take')
  return { bytes: () => taken.mock.calls.reduce((sum, [bytes]) => sum + bytes, 0) }
}

/** A reader that counts messages. */
function counting(): { reader: FrameReader; sizes: number[] } {
  const sizes: number[] = []
  const reader = new FrameReader(false, { message: (data) => sizes.push(data.byteLength), ping() {}, close() {} })
  return { reader, sizes }
}

const head = (announced: number | bigint, opcode = BINARY, fin = true): Buffer => frame({ opcode, announced, fin })

afterEach(() => vi.restoreAllMocks())

describe('FrameReader, limits', () => {
  it.each([
    ['one byte too many', MAX_MESSAGE_BYTES + 1],
    ['4 GiB', 2 ** 32],
    ['2^53 bytes', 2n ** 53n],
    ['2^63 + 1 bytes, which section 5.2 forbids', 2n ** 63n + 1n],
    ['2^64 - 1 bytes', 2n ** 64n - 1n],
  ])('answers a header that announces %s with 1009, before any payload', (_name, announced) => {
    const memory = watchMemory()
    expect(read([head(announced)])).toEqual({ told: [], status: 1009 })
    expect(memory.bytes()).toBe(0)
  })

  it('counts the fragments of a message together', () => {
    const half = frame({ opcode: BINARY, fin: false, payload: Buffer.alloc(MAX_MESSAGE_BYTES / 2) })
    expect(read([half, head(MAX_MESSAGE_BYTES / 2, CONTINUATION)]).status).toBeUndefined()
    expect(read([half, head(MAX_MESSAGE_BYTES / 2 + 1, CONTINUATION)]).status).toBe(1009)
  })

  it('counts each message on its own', () => {
    const { reader, sizes } = counting()
    const whole = frame({ opcode: BINARY, payload: Buffer.alloc(MAX_MESSAGE_BYTES) })
    for (let i = 0; i < 3; i += 1) reader.push(whole)
    expect(sizes).toEqual([MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES])
  })

  it('takes little memory for a message that is announced, and more as it comes', () => {
    const memory = watchMemory()
    const { reader, sizes } = counting()
    reader.push(head(MAX_MESSAGE_BYTES))
    expect(memory.bytes()).toBe(0)
    reader.push(Buffer.alloc(1))
    expect(memory.bytes()).toBeLessThanOrEqual(8 * KIB)
    const piece = Buffer.alloc(64 * KIB)
    let received = 1
    while (received + piece.byteLength < MAX_MESSAGE_BYTES) {
      reader.push(piece)
      received += piece.byteLength
      // each block is twice the one before: all of them together are twice the last
      expect(memory.bytes()).toBeLessThanOrEqual(Math.max(512 * KIB, 4 * received))
    }
    reader.push(Buffer.alloc(MAX_MESSAGE_BYTES - received))
    expect(sizes).toEqual([MAX_MESSAGE_BYTES])
  })

  it('takes no more for the beginning of a message in fragments', () => {
    const memory = watchMemory()
    const { reader } = counting()
    reader.push(head(MAX_MESSAGE_BYTES, BINARY, false))
    reader.push(Buffer.alloc(1))
    expect(memory.bytes()).toBeLessThanOrEqual(256 * KIB)
  })

  it.each([
    ['of 4 KiB', 4 * KIB, 2 * KIB],
    ['of 16 bytes', 16, MAX_FRAGMENTS - 2],
  ])(
    'copies a message that comes in thousands of fragments %s a few times, not once for each',
    (_name, size, count) => {
      const memory = watchMemory()
      const { reader, sizes } = counting()
      const fragment = frame({ opcode: CONTINUATION, fin: false, payload: Buffer.alloc(size) })
      reader.push(frame({ opcode: BINARY, fin: false }))
      for (let i = 0; i < count; i += 1) reader.push(fragment)
      reader.push(frame({ opcode: CONTINUATION }))
      expect(sizes).toEqual([size * count])
      expect(memory.bytes()).toBeLessThanOrEqual(8 * size * count)
    },
  )

  it('takes a message in as many fragments as are allowed, and answers one more with 1008', () => {
    const first = frame({ opcode: BINARY, fin: false, payload: 'a' })
    const next = frame({ opcode: CONTINUATION, fin: false, payload: 'a' })
    const last = frame({ opcode: CONTINUATION, payload: 'a' })
    const most = Buffer.concat([first, ...Array<Buffer>(MAX_FRAGMENTS - 2).fill(next)])
    const { told, status } = read([most, frame({ opcode: PING }), last, most, last])
    const whole = `message ${hex(Buffer.alloc(MAX_FRAGMENTS, 'a'))}`
    expect(told).toEqual(['ping ', whole, whole])
    expect(status).toBeUndefined()
    expect(read([most, next, last])).toEqual({ told: [], status: 1008 })
  })

  it('counts fragments that have nothing in them', () => {
    const empty = frame({ opcode: CONTINUATION, fin: false })
    const most = [frame({ opcode: BINARY, fin: false }), ...Array<Buffer>(MAX_FRAGMENTS - 1).fill(empty)]
    expect(read([Buffer.concat(most)]).status).toBeUndefined()
    expect(read([Buffer.concat(most), empty]).status).toBe(1008)
  })

  it('keeps less than 2 MiB for a message of one MiB, however it is cut', () => {
    let kept = 0
    const reader = new FrameReader(false, { message: (data) => (kept = data.buffer.byteLength), ping() {}, close() {} })
    const bytes = frame({ opcode: BINARY, payload: Buffer.alloc(MIB) })
    for (let at = 0; at < bytes.byteLength; at += 10_000) reader.push(bytes.subarray(at, at + 10_000))
    expect(kept).toBeGreaterThanOrEqual(MIB)
    expect(kept).toBeLessThan(2 * MIB)
  })
})
