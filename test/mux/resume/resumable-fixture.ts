import type { LinkSocksError } from '../../../src/errors.js'
import { ReplayBudget } from '../../../src/mux/resume/replay-budget.js'
import { type ResumableOptions, ResumableTransport } from '../../../src/mux/resume/resumable-transport.js'
import type { TransportClose } from '../../../src/ports.js'
import { decodeSessionControl, type SessionControl } from '../../../src/protocol/session-control.js'
import { ManualClock } from '../../support/manual-clock.js'
import { type MemoryTransport, memoryTransportPair } from '../../support/memory-transport.js'
import { bytesOf, concat } from '../../support/test-peer.js'

/** A session message that carries `text`; of a type that is not SessionControl. */
const message = (text: string | Uint8Array): Uint8Array => concat(Uint8Array.of(1, 4), bytesOf(text))

/** One end of a resumable session without a session above it: what it was told, in order. */
export class ResumableEnd {
  readonly transport: ResumableTransport
  /** Texts of the messages that came. */
  readonly texts: string[] = []
  readonly events: string[] = []
  readonly closes: TransportClose[] = []
  readonly losses: LinkSocksError[] = []
  drains = 0
  /** Called with each message. */
  onMessage: (data: Uint8Array) => void = () => {}
  onSuspended: () => void = () => {}
  onResumed: () => void = () => {}
  /** The memory transport below. */
  inner: MemoryTransport

  constructor(inner: MemoryTransport, options: ResumableOptions) {
    this.inner = inner
    inner.record()
    this.transport = new ResumableTransport(inner, {
      ...options,
      confirmed: () => this.events.push('confirmed'),
    })
    this.transport.start({
      message: (data) => {
        this.texts.push(new TextDecoder().decode(data.subarray(2)))
        this.onMessage(data)
      },
      activity: () => {},
      drain: () => {
        this.drains += 1
      },
      close: (info) => {
        this.events.push('close')
        this.closes.push(info)
      },
      suspended: (reason) => {
        this.events.push('suspended')
        this.losses.push(reason)
        this.onSuspended()
      },
      resumed: () => {
        this.events.push('resumed')
        this.onResumed()
      },
      draining: () => this.events.push('draining'),
    })
  }

  say(...texts: readonly string[]): void {
    for (const text of texts) this.transport.send(message(text))
  }

  attach(inner: MemoryTransport, received: number): void {
    this.inner = inner
    inner.record()
    this.transport.attach(inner, received)
  }

  /** What this end said about the session on its present connection. */
  get controls(): SessionControl[] {
    return this.inner.sentMessages.flatMap((raw) => decodeSessionControl(raw) ?? [])
  }
}

/** The two ends of one resumable session; `near` is the one that comes back. */
export class ResumableLink {
  readonly clock = new ManualClock()
  readonly budget: ReplayBudget
  readonly near: ResumableEnd
  readonly far: ResumableEnd

  constructor({ sharedBytes, timeoutMs }: { readonly sharedBytes?: number; readonly timeoutMs?: number } = {}) {
    const { clock } = this
    this.budget = new ReplayBudget(sharedBytes)
    const [a, b] = memoryTransportPair()
    this.near = new ResumableEnd(a, { clock, budget: this.budget, timeoutMs })
    this.far = new ResumableEnd(b, { clock, budget: this.budget, timeoutMs })
  }

  get ends(): readonly [ResumableEnd, ResumableEnd] {
    return [this.near, this.far]
  }

  /** What both keep for sending it again. */
  get kept(): readonly number[] {
    return this.ends.map((end) => end.transport.keptBytes)
  }

  cut(): void {
    this.near.inner.cut()
  }

  /** The near end comes with another connection, whatever has become of the one before. */
  resume(): void {
    const [a, b] = memoryTransportPair()
    const told = this.near.transport.received
    const answered = this.far.transport.received
    this.far.attach(b, told)
    this.near.attach(a, answered)
  }
}
