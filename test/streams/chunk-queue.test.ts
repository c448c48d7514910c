import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChunkQueue } from '../../src/streams/chunk-queue.js'
import { concat } from '../support/test-peer.js'

describe('ChunkQueue', () => {
  it('gives a chunk out as it came, without a copy', () => {
    const queue = new ChunkQueue()
    const chunk = Uint8Array.of(1, 2, 3)
    queue.push(chunk)
    expect(queue.take(3)).toBe(chunk)
    expect([queue.bytes, queue.firstBytes]).toEqual([0, 0])
  })

  it('splits a chunk as views of it', () => {
    const queue = new ChunkQueue()
    const chunk = Uint8Array.of(1, 2, 3)
    queue.push(chunk)
    expect(queue.take(1).buffer).toBe(chunk.buffer)
    expect([queue.bytes, queue.firstBytes]).toEqual([2, 2])
    expect(queue.take(2)).toEqual(Uint8Array.of(2, 3))
  })

  it('is empty after clear() and can be used again', () => {
    const queue = new ChunkQueue()
    queue.push(Uint8Array.of(1))
    queue.clear()
    expect([queue.bytes, queue.firstBytes]).toEqual([0, 0])
    queue.push(Uint8Array.of(2))
    expect(queue.take(1)).toEqual(Uint8Array.of(2))
  })

  it('gives out the same bytes in the same order, however they are pushed and taken', () => {
    const step = fc.oneof(
      fc.record({ push: fc.uint8Array({ minLength: 1, maxLength: 50 }) }),
      fc.record({ take: fc.double({ min: 0, max: 1, noNaN: true }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const queue = new ChunkQueue()
        let model = new Uint8Array()
        for (const one of steps) {
          if ('push' in one) {
            queue.push(one.push)
            model = concat(model, one.push)
          } else if (queue.bytes > 0) {
            const bytes = Math.max(1, Math.floor(one.take * queue.bytes))
            expect(queue.take(bytes)).toEqual(model.slice(0, bytes))
            model = model.slice(bytes)
          }
          expect(queue.bytes).toBe(model.byteLength)
          expect(queue.firstBytes > 0).toBe(model.byteLength > 0)
        }
      }),
    )
  })

  it('counts the small chunks at its front, up to a limit', () => {
    const queue = new ChunkQueue()
    expect(queue.smallBytes(10, 100)).toBe(0)
    for (const bytes of [3, 9, 10, 2]) queue.push(new Uint8Array(bytes))
    expect([queue.smallBytes(10, 100), queue.smallBytes(10, 5), queue.smallBytes(3, 100)]).toEqual([12, 5, 0])
    queue.take(12)
    expect(queue.smallBytes(10, 100)).toBe(0)
  })
})
