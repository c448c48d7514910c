import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BlockPool } from '../../../src/node/net/block-pool.js'
import { KIB, MIB } from '../../../src/protocol/limits.js'

const IDLE_MS = 5_000

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

describe('BlockPool', () => {
  it('uses a block again that was given back, whichever part of it names it', () => {
    const pool = new BlockPool()
    const block = pool.take(10_000)
    pool.give(block.subarray(5_000, 8_000))
    expect(pool.freeBytes).toBe(block.buffer.byteLength)
    const next = pool.take(9_000)
    expect(next.buffer).toBe(block.buffer)
    expect([next.byteOffset, next.byteLength]).toEqual([0, 9_000])
    expect(pool.freeBytes).toBe(0)
  })

  it('leaves the block of a small view alone, which retain() would not have kept', () => {
    const pool = new BlockPool()
    const small = pool.take(5_000).subarray(0, 2_047)
    expect(pool.retain(small)).toBe(false)
    pool.give(small)
    expect(pool.freeBytes).toBe(0)
  })

  it('never gives a block to two at a time', () => {
    const pool = new BlockPool()
    const first = pool.take(5_000)
    pool.give(first)
    const taken = Array.from({ length: 10 }, () => pool.take(5_000).buffer)
    expect(new Set(taken).size).toBe(10)
    expect(taken).toContain(first.buffer)
  })

  it('ignores a block that is given twice, until it was taken again', () => {
    const pool = new BlockPool()
    const block = pool.take(5_000)
    pool.give(block)
    pool.give(block)
    const [one, other] = [pool.take(5_000), pool.take(5_000)]
    expect(one.buffer).not.toBe(other.buffer)
    pool.give(one)
    expect(pool.freeBytes).toBe(one.buffer.byteLength)
  })

  it('ignores memory that is not its own, of the size of its blocks too', () => {
    const pool = new BlockPool()
    const own = pool.take(5_000)
    for (const foreign of [
      new Uint8Array(own.buffer.byteLength),
      Buffer.alloc(10),
      new Uint8Array(0),
      new BlockPool().take(5_000),
    ])
      pool.give(foreign)
    expect(pool.freeBytes).toBe(0)
  })

  it('leaves small memory and very large memory to the garbage collector', () => {
    const pool = new BlockPool()
    for (const bytes of [0, 1, 2 * KIB - 1, 256 * KIB + 513, 32 * MIB]) {
      const view = pool.take(bytes)
      expect([view.byteLength, view.buffer.byteLength]).toEqual([bytes, bytes])
      pool.give(view)
      expect(pool.freeBytes).toBe(0)
    }
  })

  it('has blocks of powers of two with room for a header, and takes the smallest that fits', () => {
    const pool = new BlockPool()
    const sizeOf = (bytes: number): number => pool.take(bytes).buffer.byteLength
    expect(sizeOf(2 * KIB)).toBe(4 * KIB + 512)
    for (const kib of [4, 8, 16, 32, 64, 128, 256]) expect(sizeOf(kib * KIB + 512)).toBe(kib * KIB + 512)
    for (const kib of [4, 8, 16, 32, 64, 128]) expect(sizeOf(kib * KIB + 513)).toBe(2 * kib * KIB + 512)
  })

  it('uses a block only for its own class', () => {
    const pool = new BlockPool()
    const large = pool.take(256 * KIB)
    pool.give(large)
    expect(pool.take(4 * KIB).buffer).not.toBe(large.buffer)
    expect(pool.take(200 * KIB).buffer).toBe(large.buffer)
  })

  it('keeps no more than 8 MiB free, and forgets what is beyond', () => {
    const pool = new BlockPool()
    const blocks = Array.from({ length: 40 }, () => pool.take(256 * KIB))
    for (const block of blocks) pool.give(block)
    expect(pool.freeBytes).toBeLessThanOrEqual(8 * MIB)
    expect(pool.freeBytes).toBeGreaterThan(7 * MIB)
    const kept = pool.freeBytes / (256 * KIB + 512)
    // what was forgotten is not its own any more
    for (const block of blocks) pool.give(block)
    expect(pool.freeBytes / (256 * KIB + 512)).toBe(kept)
    const again = Array.from({ length: 40 }, () => pool.take(256 * KIB).buffer)
    expect(new Set(again).size).toBe(40)
    expect(pool.freeBytes).toBe(0)
  })

  it('gives up its free blocks when nobody took one for a while, and not before', () => {
    const pool = new BlockPool()
    pool.give(pool.take(5_000))
    vi.advanceTimersByTime(IDLE_MS)
    expect(pool.freeBytes).toBeGreaterThan(0)
    pool.give(pool.take(5_000))
    vi.advanceTimersByTime(IDLE_MS)
    expect(pool.freeBytes).toBeGreaterThan(0)
    vi.advanceTimersByTime(IDLE_MS)
    expect(pool.freeBytes).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('goes on after it gave them up', () => {
    const pool = new BlockPool()
    const lent = pool.take(5_000)
    pool.give(pool.take(5_000))
    vi.advanceTimersByTime(2 * IDLE_MS)
    pool.give(lent)
    expect(pool.freeBytes).toBe(lent.buffer.byteLength)
    expect(vi.getTimerCount()).toBe(1)
    expect(pool.take(5_000).buffer).toBe(lent.buffer)
    vi.advanceTimersByTime(2 * IDLE_MS)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('has no timer while nothing was given back', () => {
    const pool = new BlockPool()
    pool.take(5_000)
    pool.give(new Uint8Array(5_000))
    expect(vi.getTimerCount()).toBe(0)
  })
})
