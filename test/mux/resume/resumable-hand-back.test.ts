import { describe, expect, it } from 'vitest'
import type { LinkSocksError } from '../../../src/errors.js'
import { ReplayBudget } from '../../../src/mux/resume/replay-budget.js'
import { ResumableTransport } from '../../../src/mux/resume/resumable-transport.js'
import { describeHandBack } from '../../contract/message-transport-hand-back.js'
import { TransportRecorder } from '../../contract/transport-recorder.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { memoryTransportPair } from '../../support/memory-transport.js'

function resumablePair() {
  const clock = new ManualClock()
  const inner = memoryTransportPair()
  const [a, b] = inner.map((end) => new ResumableTransport(end, { clock, budget: new ReplayBudget() }))
  return { clock, inner, a: a as ResumableTransport, b: b as ResumableTransport }
}

/** Also writes down that the transport was suspended or resumed. */
class ResumableRecorder extends TransportRecorder {
  readonly changes: string[] = []

  suspended(reason: LinkSocksError): void {
    this.changes.push(reason.code)
  }

  resumed(): void {
    this.changes.push('resumed')
  }
}

describe('a ResumableTransport that is handed back', () => {
  describeHandBack(async () => {
    const { a, b } = resumablePair()
    return { a, b, cleanup: () => {} }
  })

  it('may be handed back and started again while it is being resumed', async () => {
    const { a, b, inner } = resumablePair()
    const [first, second] = [new ResumableRecorder(), new ResumableRecorder()]
    a.start(first)
    b.start(new ResumableRecorder())
    inner[0].cut()
    await settle()
    first.resumed = () => {
      a.handBack([])
      a.start(second)
    }
    const next = memoryTransportPair()
    a.attach(next[0], b.received)
    b.attach(next[1], a.received)
    b.send(Uint8Array.of(5, 4))
    await settle()
    expect([first.messages.length, second.messages.map((message) => message[0])]).toEqual([0, [5]])
  })

  it('may get the next connection from inside message(), while start() delivers what was unread', async () => {
    const { a, b, inner } = resumablePair()
    a.start(new ResumableRecorder())
    b.start(new ResumableRecorder())
    inner[0].cut()
    await settle()
    a.handBack([Uint8Array.of(1, 4), Uint8Array.of(2, 4)])
    const second = new ResumableRecorder()
    const next = memoryTransportPair()
    const heard: number[] = []
    second.message = (data) => {
      heard.push(data[0] ?? -1)
      if (heard.length > 1) return
      a.attach(next[0], b.received)
      b.attach(next[1], a.received)
    }
    a.start(second)
    b.send(Uint8Array.of(3, 4))
    await settle()
    expect(heard).toEqual([1, 2, 3])
  })

  it.each([false, true])('goes on with the next connection (attached before start(): %s)', async (before) => {
    const { a, b, inner } = resumablePair()
    const [first, second] = [new ResumableRecorder(), new ResumableRecorder()]
    a.start(first)
    b.start(new ResumableRecorder())
    b.send(Uint8Array.of(1, 4))
    await settle()
    inner[0].cut()
    await settle()
    a.handBack(first.messages)
    b.send(Uint8Array.of(2, 4))
    const next = memoryTransportPair()
    const attach = (): void => {
      a.attach(next[0], b.received)
      b.attach(next[1], a.received)
    }
    if (before) attach()
    await settle()
    a.start(second)
    if (!before) attach()
    await settle()
    expect([first, second].map(({ messages }) => messages.map((message) => message[0]))).toEqual([[1], [1, 2]])
    expect([first.changes, second.changes]).toEqual([['ERR_LINK_LOST'], before ? [] : ['ERR_LINK_LOST', 'resumed']])
  })

  it('reports to the second handler that the session ended while no connection came', async () => {
    const { a, inner, clock } = resumablePair()
    const [first, second] = [new ResumableRecorder(), new ResumableRecorder()]
    a.start(first)
    inner[0].cut()
    await settle()
    a.handBack([])
    await clock.advanceAsync(10 * 60_000)
    a.start(second)
    await settle()
    expect([first.closes.length, second.closes.length, a.closed]).toEqual([0, 1, true])
  })
})
