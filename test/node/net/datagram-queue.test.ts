import { describe, expect, it } from 'vitest'
import { DatagramQueue, MAX_QUEUED_BYTES, MAX_QUEUED_DATAGRAMS } from '../../../src/node/net/datagram-queue.js'

const address = { host: '192.0.2.1', port: 9 }

/** Fills a queue with numbered datagrams. */
function filled(count: number, size = 4): DatagramQueue {
  const queue = new DatagramQueue()
  for (let i = 0; i < count; i++) {
    const data = new Uint8Array(size)
    new DataView(data.buffer).setUint32(0, i)
    queue.push(data, address)
  }
  return queue
}

function drain(queue: DatagramQueue): number[] {
  const numbers: number[] = []
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    numbers.push(new DataView(next.data.buffer).getUint32(0))
  }
  return numbers
}

describe('DatagramQueue', () => {
  it('gives datagrams back in order', () => {
    expect(drain(filled(5))).toEqual([0, 1, 2, 3, 4])
    expect(new DatagramQueue().shift()).toBeUndefined()
  })

  it('holds its limit and drops the oldest of one more', () => {
    const full = filled(MAX_QUEUED_DATAGRAMS)
    expect([full.length, full.dropped]).toEqual([MAX_QUEUED_DATAGRAMS, 0])
    const over = filled(MAX_QUEUED_DATAGRAMS + 3)
    expect([over.length, over.dropped]).toEqual([MAX_QUEUED_DATAGRAMS, 3])
    expect(drain(over)[0]).toBe(3)
  })

  it('holds its limit of bytes', () => {
    const queue = filled(100, 65_507)
    const held = Math.floor(MAX_QUEUED_BYTES / 65_507)
    expect([queue.length, queue.dropped]).toEqual([held, 100 - held])
    expect(drain(queue)).toEqual(Array.from({ length: held }, (_, i) => 100 - held + i))
  })

  it('works on after many have passed through and after clear()', () => {
    const queue = filled(10)
    for (let i = 0; i < 100_000; i++) {
      queue.push(new Uint8Array(4), address)
      queue.shift()
    }
    expect([queue.length, queue.dropped]).toEqual([10, 0])
    queue.clear()
    expect([queue.length, queue.shift()]).toEqual([0, undefined])
    queue.push(new Uint8Array(4), address)
    expect(queue.length).toBe(1)
  })
})
