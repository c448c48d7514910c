import { afterEach, describe, expect, it, vi } from 'vitest'
import { blockPool } from '../../../src/node/net/block-pool.js'
import { MessageBuffer } from '../../../src/node/websocket/message-buffer.js'
import { KIB, MIB } from '../../../src/protocol/limits.js'
import { pattern } from '../../contract/pattern.js'

afterEach(() => vi.restoreAllMocks())

/** Appends `bytes` in parts of `size`, each told how much follows. */
function fill(buffer: MessageBuffer, bytes: Uint8Array, size: number): void {
  for (let at = 0; at < bytes.byteLength; at += size) {
    const part = bytes.subarray(at, at + size)
    buffer.append(part, bytes.byteLength - at - part.byteLength)
  }
}

describe('MessageBuffer', () => {
  it.each([1, 100, 2 * KIB, 256 * KIB, 256 * KIB + 1, 3 * MIB])(
    'puts %d bytes together, however they come',
    (bytes) => {
      const message = pattern(bytes)
      const buffer = new MessageBuffer()
      for (const size of [7, 999, 64 * KIB, bytes]) {
        if (bytes / size > 10_000) continue
        fill(buffer, message, size)
        expect(Buffer.compare(buffer.take(), message)).toBe(0)
      }
    },
  )

  it('gives the copy of each part, which may be changed in place', () => {
    const buffer = new MessageBuffer()
    const part = Uint8Array.of(1, 2, 3)
    buffer.append(part, 1).fill(9)
    buffer.append(Uint8Array.of(4), 0)
    expect(Array.from(buffer.take())).toEqual([9, 9, 9, 4])
    expect(Array.from(part)).toEqual([1, 2, 3])
  })

  it('gives a small message memory of its own, however much was expected: others look at it after its block is used again', () => {
    const buffer = new MessageBuffer()
    buffer.append(pattern(1_200), 1_200)
    const message = buffer.take()
    expect(Buffer.compare(message, pattern(1_200))).toBe(0)
    expect([blockPool.retain(message), message.buffer.byteLength]).toEqual([false, 1_200])
  })

  it('begins anew with take()', () => {
    const buffer = new MessageBuffer()
    fill(buffer, pattern(5_000, 1), 1_000)
    const first = buffer.take()
    expect(buffer.take().byteLength).toBe(0)
    fill(buffer, pattern(5_000, 2), 1_000)
    const second = buffer.take()
    expect(second.buffer).not.toBe(first.buffer)
    expect(Buffer.compare(first, pattern(5_000, 1))).toBe(0)
    expect(Buffer.compare(second, pattern(5_000, 2))).toBe(0)
  })

  it('takes memory once for what is there whole, and no more than it needs', () => {
    const take = vi.spyOn(blockPool, 'take')
    const buffer = new MessageBuffer()
    for (const bytes of [1, 100, 10_000, 300 * KIB]) fill(buffer, pattern(bytes), bytes)
    buffer.take()
    fill(buffer, pattern(200 * KIB), KIB)
    buffer.take()
    expect(take.mock.calls.at(-1)).toEqual([200 * KIB])
    // four, and 8 KiB doubled until it is enough
    expect(take.mock.calls.length).toBeLessThanOrEqual(4 + 6)
  })

  it.each([64 * KIB, 128 * KIB, 256 * KIB])('takes one block for %d bytes and a head in records of TLS', (bytes) => {
    const take = vi.spyOn(blockPool, 'take')
    const message = pattern(bytes + 62)
    const buffer = new MessageBuffer()
    fill(buffer, message, 16 * KIB)
    expect(take.mock.calls).toEqual([[message.byteLength]])
    expect(Buffer.compare(buffer.take(), message)).toBe(0)
  })

  it('takes memory for what is announced only as bytes come, and gives back what it grew out of', () => {
    const take = vi.spyOn(blockPool, 'take')
    const give = vi.spyOn(blockPool, 'give')
    const buffer = new MessageBuffer()
    const message = pattern(8 * MIB)
    let at = 0
    for (; at < message.byteLength; at += 50_000) {
      const part = message.subarray(at, at + 50_000)
      buffer.append(part, message.byteLength - at - part.byteLength)
      const last = take.mock.calls.at(-1)?.[0] ?? 0
      expect(last).toBeLessThanOrEqual(Math.max(256 * KIB + 512, 2 * (at + 50_000)))
    }
    // doubled: 8 KiB, then as often as it takes to 8 MiB
    expect(take.mock.calls.length).toBeLessThanOrEqual(7)
    expect(give.mock.calls.length).toBe(take.mock.calls.length)
    const given = new Set(give.mock.calls.map(([view]) => view.buffer))
    const taken = buffer.take()
    expect(given.has(taken.buffer)).toBe(false)
    expect(Buffer.compare(taken, message)).toBe(0)
  })
})
