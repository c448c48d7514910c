import { describe, expect, it } from 'vitest'
import { costOf, SpliceQueue } from '../../../src/relay/splice/splice-queue.js'

describe('SpliceQueue', () => {
  it('counts what a message costs, and says what those cost that gave way', () => {
    const [first, second] = [new Uint8Array(36), new Uint8Array(40)]
    const queue = new SpliceQueue(200)
    expect([costOf(first), queue.push(first), queue.bytes]).toEqual([100, 0, 100])
    expect([queue.push(second), queue.bytes, queue.shift()]).toEqual([costOf(first), costOf(second), second])
  })

  it('drops nothing without a limit', () => {
    const queue = new SpliceQueue()
    for (let i = 0; i < 1_000; i += 1) queue.push(new Uint8Array(1))
    expect([queue.dropped, queue.bytes, queue.takeAll().length, queue.bytes]).toEqual([0, 65_000, 1_000, 0])
  })
})
