import { describe, expect, it } from 'vitest'
import { MessageQueue } from '../../../src/mux/flow/message-queue.js'

const message = (name: number, bytes = 4): Uint8Array => new Uint8Array(bytes).fill(name)
const names = (messages: readonly Uint8Array[]): readonly (number | undefined)[] => messages.map(([name]) => name)

describe('MessageQueue', () => {
  it('drops its oldest messages and counts them', () => {
    const queue = new MessageQueue({ maxBytes: 10 })
    for (let i = 0; i < 5; i += 1) queue.push(message(i))
    expect([queue.dropped, queue.bytes, queue.nextBytes]).toEqual([3, 8, 4])
    expect([queue.shift()[0], queue.shift()[0], queue.nextBytes]).toEqual([3, 4, 0])
  })

  it('keeps exactly its limit, and nothing that exceeds it alone', () => {
    const queue = new MessageQueue({ maxBytes: 10 })
    queue.push(message(1, 10))
    expect([queue.dropped, queue.nextBytes]).toEqual([0, 10])
    queue.push(message(2, 11))
    expect([queue.dropped, queue.nextBytes]).toEqual([2, 0])
    queue.push(message(3, 10))
    queue.clear()
    queue.push(message(4, 10))
    expect([queue.dropped, queue.nextBytes]).toEqual([2, 10])
  })

  it('counts each message with its overhead, and says how much gave way', () => {
    const queue = new MessageQueue({ maxBytes: 300, overheadBytes: 64 })
    expect([queue.push(message(1, 86)), queue.push(message(2, 86)), queue.bytes]).toEqual([0, 0, 300])
    expect([queue.push(message(3, 1)), queue.bytes, queue.dropped]).toEqual([150, 215, 1])
    expect([queue.push(message(4, 200)), queue.bytes, queue.dropped]).toEqual([215, 264, 3])
  })

  it('drops nothing without a limit', () => {
    const queue = new MessageQueue()
    for (let i = 0; i < 10_000; i += 1) queue.push(message(i))
    expect([queue.dropped, queue.bytes]).toEqual([0, 40_000])
  })

  it('gives out all messages at once, and is empty and of use again then', () => {
    const queue = new MessageQueue({ overheadBytes: 64 })
    for (const name of [1, 2, 3]) queue.push(message(name))
    expect(names(queue.takeAll())).toEqual([1, 2, 3])
    expect([queue.bytes, queue.nextBytes, queue.takeAll()]).toEqual([0, 0, []])
    queue.push(message(4))
    expect([queue.bytes, queue.shift()[0]]).toEqual([68, 4])
  })
})
