import { describe, expect, it } from 'vitest'
import { ReplayBudget } from '../../../src/mux/resume/replay-budget.js'
import { ReplayBuffer } from '../../../src/mux/resume/replay-buffer.js'
import { KIB, MAX_REPLAY_BYTES, MIB, MIN_REPLAY_BYTES } from '../../../src/protocol/limits.js'
import { codeOf } from '../../protocol/thrown.js'

/** What one message costs besides its bytes. */
const OVERHEAD = 256

/** Memory that counts how often each buffer is retained. */
class CountedMemory {
  readonly managed = new Set<ArrayBufferLike>()
  readonly retained = new Map<ArrayBufferLike, number>()

  block(bytes: number): Uint8Array {
    const block = new Uint8Array(bytes)
    this.managed.add(block.buffer)
    return block
  }

  retain(data: Uint8Array): boolean {
    if (!this.managed.has(data.buffer)) return false
    this.retained.set(data.buffer, this.times(data) + 1)
    return true
  }

  release(data: Uint8Array): void {
    const times = this.times(data)
    if (times === 0) throw new Error('release() without retain()')
    this.retained.set(data.buffer, times - 1)
  }

  times(data: Uint8Array): number {
    return this.retained.get(data.buffer) ?? 0
  }
}

function buffer(budget = new ReplayBudget()) {
  const memory = new CountedMemory()
  return { memory, budget, replay: new ReplayBuffer(memory, budget) }
}

const numbered = (number: number): Uint8Array => Uint8Array.of(number >> 8, number & 255)

interface Given {
  readonly head: Uint8Array
  readonly body: Uint8Array | undefined
  /** The connection says that it has left; nothing where nobody waits for that. */
  readonly sent: (() => void) | undefined
}

/** The next message as a connection gets it. */
function next(replay: ReplayBuffer): Given {
  const got: Given[] = []
  replay.giveNext({ send: (head, body, sent) => void got.push({ head, body, sent }) })
  const [one] = got
  if (one === undefined) throw new Error('nothing was given')
  return one
}

/** Numbers of all messages that wait, which are then given. */
function given(replay: ReplayBuffer): number[] {
  const numbers: number[] = []
  while (replay.behind) {
    const one = next(replay)
    one.sent?.()
    const [high = 0, low = 0] = one.head
    numbers.push(high * 256 + low)
  }
  return numbers
}

describe('ReplayBuffer', () => {
  it('gives each message once, in order', () => {
    const { replay } = buffer()
    for (let n = 0; n < 3; n += 1) replay.push(numbered(n), undefined)
    expect([given(replay), replay.behind, replay.sent]).toEqual([[0, 1, 2], false, 3])
    replay.push(numbered(3), undefined)
    expect(given(replay)).toEqual([3])
  })

  it('gives again what lies behind the peer’s count, from every count', () => {
    for (let received = 0; received <= 5; received += 1) {
      const { replay } = buffer()
      for (let n = 0; n < 5; n += 1) replay.push(numbered(n), undefined)
      given(replay)
      replay.rewind(received)
      expect(given(replay)).toEqual([0, 1, 2, 3, 4].slice(received))
    }
  })

  it('numbers rightly over thousands of messages, acknowledged in steps of any size', () => {
    const { replay } = buffer()
    let pushed = 0
    for (const step of [1, 255, 256, 257, 1_000, 3, 700]) {
      const before = pushed
      for (; pushed < before + step; pushed += 1) replay.push(numbered(pushed), undefined)
      expect(given(replay)).toEqual(Array.from({ length: step }, (_, n) => before + n))
      replay.acknowledge(pushed - 1)
      expect([replay.sent, replay.bytes]).toEqual([pushed, 2 + OVERHEAD])
      replay.rewind(pushed - 1)
      expect(given(replay)).toEqual([pushed - 1])
    }
  })

  it('refuses an acknowledgement for what the connection was not given', () => {
    const { replay } = buffer()
    for (let n = 0; n < 3; n += 1) replay.push(numbered(n), undefined)
    next(replay)
    expect(codeOf(() => replay.acknowledge(2))).toBe('ERR_MESSAGE_INVALID')
    replay.acknowledge(1)
    // not even what was sent on an earlier connection counts before it is sent again
    given(replay)
    replay.rewind(1)
    expect(codeOf(() => replay.acknowledge(2))).toBe('ERR_MESSAGE_INVALID')
  })

  it('refuses an acknowledgement that takes one back, and takes the same one twice', () => {
    const { replay } = buffer()
    for (let n = 0; n < 3; n += 1) replay.push(numbered(n), undefined)
    given(replay)
    replay.acknowledge(2)
    replay.acknowledge(2)
    expect(codeOf(() => replay.acknowledge(1))).toBe('ERR_MESSAGE_INVALID')
  })

  it('covers the counts between what is acknowledged and what was sent', () => {
    const { replay } = buffer()
    for (let n = 0; n < 4; n += 1) replay.push(numbered(n), undefined)
    given(replay)
    replay.acknowledge(2)
    expect([0, 1, 2, 3, 4, 5].map((count) => replay.covers(count))).toEqual([false, false, true, true, true, false])
    expect(codeOf(() => replay.rewind(1))).toBe('ERR_MESSAGE_INVALID')
    expect(codeOf(() => replay.rewind(5))).toBe('ERR_MESSAGE_INVALID')
  })

  it('copies a body whose memory nobody manages, for it may change at once', () => {
    const { replay } = buffer()
    const body = Uint8Array.of(1, 2, 3)
    replay.push(numbered(0), body)
    body.fill(9)
    expect(next(replay).body).toEqual(Uint8Array.of(1, 2, 3))
  })

  it('retains managed memory from push() until it is acknowledged and has left, once for each message', () => {
    const { replay, memory } = buffer()
    const [head, body, other] = [memory.block(8), memory.block(100), memory.block(100)]
    replay.push(head.subarray(2), body)
    replay.push(numbered(1), body.subarray(50))
    replay.push(numbered(2), other)
    const first = next(replay)
    expect(first.body).toBe(body)
    given(replay)
    expect([head, body, other].map((block) => memory.times(block))).toEqual([1, 2, 1])
    replay.acknowledge(1)
    // it still waits for the socket, whatever the peer says
    expect([head, body, other].map((block) => memory.times(block))).toEqual([1, 2, 1])
    first.sent?.()
    expect([head, body, other].map((block) => memory.times(block))).toEqual([0, 1, 1])
    replay.rewind(2)
    given(replay)
    expect([head, body, other].map((block) => memory.times(block))).toEqual([0, 0, 1])
  })

  it('gives everything back on clear(), twice or not, and what was never given too', () => {
    const { replay, memory, budget } = buffer()
    const blocks = [memory.block(2 * MIB), memory.block(MIB)]
    for (const block of blocks) replay.push(numbered(0), block)
    next(replay).sent?.()
    expect(budget.taken).toBeGreaterThan(0)
    replay.clear()
    replay.clear()
    expect(blocks.map((block) => memory.times(block))).toEqual([0, 0])
    expect([replay.bytes, budget.taken, replay.behind]).toEqual([0, 0, false])
  })
})

describe('ReplayBuffer, its limits', () => {
  it('counts bytes and something for each message', () => {
    const { replay } = buffer()
    replay.push(new Uint8Array(10), new Uint8Array(100))
    replay.push(new Uint8Array(0), undefined)
    expect(replay.bytes).toBe(110 + 2 * OVERHEAD)
    given(replay)
    replay.acknowledge(1)
    expect(replay.bytes).toBe(OVERHEAD)
  })

  it('is full at the most that a session may keep, to the byte, and not after an acknowledgement', () => {
    const { replay } = buffer()
    replay.push(numbered(0), new Uint8Array(MAX_REPLAY_BYTES - 2 * OVERHEAD - 3))
    expect(replay.full).toBe(false)
    replay.push(new Uint8Array(1), undefined)
    expect([replay.bytes, replay.full]).toEqual([MAX_REPLAY_BYTES, true])
    given(replay)
    replay.acknowledge(1)
    expect(replay.full).toBe(false)
  })

  it('is full at its own least when the process has no room', () => {
    const { replay } = buffer(new ReplayBudget(0))
    replay.push(new Uint8Array(MIN_REPLAY_BYTES - OVERHEAD - 1), undefined)
    expect(replay.full).toBe(false)
    replay.push(new Uint8Array(0), undefined)
    expect(replay.full).toBe(true)
  })

  it('takes shared room only for what exceeds its least', () => {
    const budget = new ReplayBudget(64 * KIB)
    const [one, two] = [buffer(budget).replay, buffer(budget).replay]
    one.push(new Uint8Array(MIN_REPLAY_BYTES - OVERHEAD), undefined)
    expect([budget.taken, one.full]).toEqual([0, false])
    one.push(new Uint8Array(64 * KIB - OVERHEAD), undefined)
    expect([budget.taken, one.full, two.full]).toEqual([64 * KIB, true, false])
    two.push(new Uint8Array(MIN_REPLAY_BYTES - OVERHEAD), undefined)
    expect(two.full).toBe(true)
    given(one)
    one.acknowledge(1)
    expect([budget.taken, two.full]).toEqual([0, false])
  })
})

describe('ReplayBudget, of sessions without a connection', () => {
  it('ends those that are so longest when all of them keep too much, and no more of them than it takes', () => {
    const budget = new ReplayBudget(MIB, 10)
    const ended: string[] = []
    const session = (name: string, keptBytes: number) => ({ keptBytes, abort: () => void ended.push(name) })
    const [first, second, third] = [session('first', 4), session('second', 3), session('third', 4)]
    for (const one of [first, second]) budget.suspended(one)
    budget.suspended(third)
    expect(ended).toEqual(['first'])
    budget.resumed(second)
    budget.suspended(session('fourth', 6))
    expect(ended).toEqual(['first'])
    budget.suspended(session('fifth', 11))
    expect(ended).toEqual(['first', 'third', 'fourth', 'fifth'])
  })
})

describe('ReplayBuffer, what it keeps by itself', () => {
  it('is a copy of a body: what nobody keeps for it may be used again at once', () => {
    const { replay } = buffer()
    const [head, body] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)]
    replay.push(head, body)
    body.fill(0xee)
    expect(next(replay)).toMatchObject({ head: Uint8Array.of(1, 2, 3), body: Uint8Array.of(4, 5) })
  })
})
