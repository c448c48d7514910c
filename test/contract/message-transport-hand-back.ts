import { expect, it } from 'vitest'
import type { MessageTransport } from '../../src/ports.js'
import { TransportRecorder } from './transport-recorder.js'

export interface TransportPair {
  readonly a: MessageTransport
  readonly b: MessageTransport
  /** Ends whatever is left of the pair. */
  cleanup(): Promise<void> | void
}

const numbers = (messages: readonly Uint8Array[]) => messages.map((message) => message[0])
const numbered = (...all: readonly number[]) => all.map((number) => Uint8Array.of(number, 0))

/** Turns of the event loop, in which whatever is under way arrives. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve))
}

export function describeHandBack(pair: () => Promise<TransportPair>): void {
  /** `first` was given the messages 1 to `count`. */
  async function delivered(count: number) {
    const { a, b } = await pair()
    const [first, second, atB] = [new TransportRecorder(), new TransportRecorder(), new TransportRecorder()]
    a.start(first)
    b.start(atB)
    for (let i = 1; i <= count; i += 1) b.send(Uint8Array.of(i, 0))
    await first.until(() => first.messages.length === count)
    return { a, b, first, second, atB }
  }

  it('gives everything to the second handler when nothing had come before handBack()', async () => {
    const { a, b, first, second, atB } = await delivered(0)
    a.handBack([])
    a.start(second)
    b.send(Uint8Array.of(1))
    a.send(Uint8Array.of(2))
    a.ping()
    await second.until(() => second.messages.length === 1 && second.pongs === 1)
    await atB.until(() => atB.messages.length === 1)
    b.close(4004, 'over')
    expect((await second.closed()).code).toBe(4004)
    expect([first.messages.length, first.activities, first.pongs, first.closes.length]).toEqual([0, 0, 0, 0])
  })

  it('takes no second handler without handBack()', async () => {
    const { a, b, first, second } = await delivered(1)
    expect(() => a.start(second)).toThrow(TypeError)
    b.send(Uint8Array.of(2))
    await first.until(() => first.messages.length === 2)
    expect(second.messages).toEqual([])
  })

  it.each([0, 1, 2, 3])('delivers what was unread first, in order, with %i of three read', async (read) => {
    const { a, b, first, second } = await delivered(3)
    a.handBack(first.messages.slice(read))
    b.send(Uint8Array.of(4))
    await turns()
    expect(second.messages.length + first.messages.length).toBe(3)
    a.start(second)
    b.send(Uint8Array.of(5))
    await second.until(() => second.messages.length === 5 - read)
    expect(numbers(second.messages)).toEqual([1, 2, 3, 4, 5].slice(read))
    expect(first.messages.length).toBe(3)
  })

  it('reports a close again that the first handler has heard of', async () => {
    const { a, b, first, second } = await delivered(2)
    b.close(4005, 'over')
    await first.closed()
    a.handBack(first.messages)
    a.start(second)
    expect((await second.closed()).code).toBe(4005)
    await turns()
    expect([numbers(second.messages), second.closes.length, first.closes.length]).toEqual([[1, 2], 1, 1])
  })

  it('reports a close that came before the second start()', async () => {
    const { a, b, first, second } = await delivered(1)
    a.handBack(first.messages)
    b.send(Uint8Array.of(2))
    b.close(4006, 'over')
    await turns()
    a.start(second)
    expect((await second.closed()).code).toBe(4006)
    expect([numbers(second.messages), first.closes]).toEqual([[1, 2], []])
  })

  describeUnusualHandBack(delivered)
}

type Delivered = (count: number) => Promise<{
  a: MessageTransport
  b: MessageTransport
  first: TransportRecorder
  second: TransportRecorder
}>

function describeUnusualHandBack(delivered: Delivered): void {
  it('stays paused when it is handed back while paused', async () => {
    const { a, b, first, second } = await delivered(2)
    a.pause()
    a.handBack(first.messages)
    a.start(second)
    b.send(Uint8Array.of(3))
    await turns()
    expect(numbers(second.messages)).toEqual([1, 2])
    a.resume()
    await second.until(() => second.messages.length === 3)
  })

  it('delivers nothing when it is resumed between handBack() and start()', async () => {
    const { a, b, first, second } = await delivered(1)
    a.pause()
    a.handBack(first.messages)
    a.resume()
    b.send(Uint8Array.of(2))
    await turns()
    expect(first.messages.length).toBe(1)
    a.start(second)
    await second.until(() => second.messages.length === 2)
    expect(numbers(second.messages)).toEqual([1, 2])
  })

  it('can be handed back again, before and after the second start()', async () => {
    const { a, b, first, second } = await delivered(2)
    a.handBack(numbered(2))
    a.handBack(numbered(1))
    a.start(second)
    await second.until(() => second.messages.length === 2)
    a.handBack(second.messages.slice(1))
    const third = new TransportRecorder()
    a.start(third)
    b.send(Uint8Array.of(3))
    await third.until(() => third.messages.length === 2)
    expect([first, second, third].map(({ messages }) => numbers(messages))).toEqual([
      [1, 2],
      [1, 2],
      [2, 3],
    ])
  })

  it('can be handed back from within a delivery, of unread messages too', async () => {
    const { a, b, first, second } = await delivered(0)
    const third = new TransportRecorder()
    const record = { first: first.message.bind(first), second: second.message.bind(second) }
    first.message = (data) => {
      record.first(data)
      a.handBack(numbered(8, 9))
      a.start(second)
    }
    second.message = (data) => {
      record.second(data)
      a.handBack([data])
      a.start(third)
    }
    for (let i = 1; i <= 5; i += 1) b.send(Uint8Array.of(i, 0))
    await third.until(() => third.messages.length === 6)
    expect([first, second, third].map(({ messages }) => numbers(messages))).toEqual([[1], [8], [8, 9, 2, 3, 4, 5]])
  })

  it('calls sent as ever for what was sent before', async () => {
    const { a, b, second } = await delivered(0)
    b.pause()
    let calls = 0
    for (let i = 0; i < 3; i += 1) a.send(Uint8Array.of(i), new Uint8Array(4_000_000), () => (calls += 1))
    a.handBack([])
    a.start(second)
    b.resume()
    await second.until(() => calls === 3 && a.bufferedAmount === 0)
    expect(second.drains).toBeGreaterThan(0)
  })

  it.each([false, true])(
    'delivers nothing of what is unread after abort() (from within a delivery: %s)',
    async (within) => {
      const { a, first, second } = await delivered(3)
      const record = second.message.bind(second)
      second.message = (data) => {
        record(data)
        a.abort()
      }
      a.handBack(first.messages)
      if (!within) a.abort()
      a.start(second)
      expect((await second.closed()).code).toBe(1006)
      await turns()
      expect([second.messages.length, second.closes.length, first.closes.length]).toEqual([within ? 1 : 0, 1, 0])
    },
  )
}
