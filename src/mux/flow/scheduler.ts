import { KIB, MIB } from '../../protocol/limits.js'
import { Fifo } from '../../streams/fifo.js'
import type { Pace } from './pace.js'

/** The transport's own buffer is filled up to here and no further: what waits behind it waits for kilobytes. */
export const TRANSPORT_HIGH_WATER_BYTES = 128 * KIB
/** Deficit round robin: what each source may send in one round. */
export const QUANTUM_BYTES = 64 * KIB
/** Control messages that may wait for one transport; a peer that provokes more without reading loses the session. */
export const MAX_CONTROL_QUEUE_BYTES = 8 * MIB

/** One message to send: `head` followed by `body`. */
export interface Outgoing {
  readonly head: Uint8Array
  readonly body?: Uint8Array | undefined
  /** Called once the transport is done with both buffers. */
  readonly sent?: (() => void) | undefined
}

/** Something that has messages to send now and then. */
export interface Source {
  /** Size of the message that `take()` would make now; 0 = nothing to send until the lane is told `ready()` again. */
  nextBytes(): number
  /** Makes that message. Called only after `nextBytes()` gave more than 0. */
  take(): Outgoing
}

/** A source's place in the round. */
export interface Lane {
  /** Most data that a message should carry now, so that others don't wait long behind it. */
  readonly messageBytes: number
  /** The source has something to send. Idempotent. */
  ready(): void
  /** Takes the source out of the round. Idempotent. */
  close(): void
}

/** What the scheduler needs of a transport. */
export interface ScheduledTransport {
  readonly bufferedAmount: number
  send(head: Uint8Array, body?: Uint8Array, sent?: () => void): void
}

/** What a transport was given to send. */
export interface Output {
  /** Bytes that have left it so far. */
  readonly leftBytes: number
  /** It takes no more data until some of that has left. */
  readonly full: boolean
}

class Slot implements Lane {
  readonly source: Source
  readonly #scheduler: Scheduler
  deficit = 0
  /** Whether it got its quantum in the round that is under way. */
  granted = false
  queued = false
  closed = false

  constructor(scheduler: Scheduler, source: Source) {
    this.#scheduler = scheduler
    this.source = source
  }

  get messageBytes(): number {
    return this.#scheduler.pace.messageBytes
  }

  ready(): void {
    this.#scheduler.enqueue(this)
  }

  close(): void {
    this.closed = true
  }

  /** Leaves the round; an idle source saves up nothing. */
  reset(): void {
    this.queued = false
    this.granted = false
    this.deficit = 0
  }
}

/**
 * Decides what goes on the wire next: control messages first, then the sources by deficit round robin, so that every
 * channel gets the same share of bytes whatever the size of its messages (Shreedhar and Varghese, 1995).
 */
export class Scheduler {
  readonly pace: Pace
  readonly #transport: ScheduledTransport
  readonly #overflow: () => void
  readonly #idle: (() => void)[] = []
  #control: Uint8Array[] = []
  #controlBytes = 0
  readonly #round = new Fifo<Slot>()
  #running = false
  #stopped = false
  #sentBytes = 0

  /** @param overflow called when more than {@link MAX_CONTROL_QUEUE_BYTES} of control messages wait. */
  constructor(transport: ScheduledTransport, pace: Pace, overflow: () => void) {
    this.pace = pace
    this.#transport = transport
    this.#overflow = overflow
  }

  /** Bytes of messages that were given to the transport. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** What the transport has of it. */
  output(): Output {
    const { bufferedAmount } = this.#transport
    return { leftBytes: this.#sentBytes - bufferedAmount, full: bufferedAmount >= TRANSPORT_HIGH_WATER_BYTES }
  }

  /** Sources that have something to send. */
  get waiting(): number {
    return this.#round.length
  }

  /** Sends a whole message ahead of all data. */
  control(message: Uint8Array): void {
    if (this.#stopped) return
    this.#control.push(message)
    this.#controlBytes += message.byteLength
    if (this.#controlBytes > MAX_CONTROL_QUEUE_BYTES) return this.#overflow()
    this.run()
  }

  lane(source: Source): Lane {
    return new Slot(this, source)
  }

  /** Sends as much as the transport takes now; called again whenever its buffer has drained. */
  run(): void {
    if (this.#running || this.#stopped) return
    this.#running = true
    try {
      while (this.#transport.bufferedAmount < TRANSPORT_HIGH_WATER_BYTES && this.#step());
    } finally {
      this.#running = false
    }
    if (this.#idle.length > 0 && this.#control.length === 0 && this.waiting === 0) this.#tellIdle()
  }

  /** Settles when nothing waits any more, or when the scheduler stops. */
  idle(): Promise<void> {
    if (this.#stopped || (this.#control.length === 0 && this.waiting === 0)) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Forgets everything; nothing is sent from here on. */
  stop(): void {
    this.#stopped = true
    this.#control = []
    this.#controlBytes = 0
    this.#round.clear()
    this.#tellIdle()
  }

  enqueue(slot: Slot): void {
    if (slot.queued || slot.closed || this.#stopped) return
    slot.queued = true
    this.#round.push(slot)
    this.run()
  }

  /** @returns false when there is nothing to send. */
  #step(): boolean {
    if (this.#control.length > 0) {
      this.#sendControl()
      return true
    }
    const slot = this.#round.first
    if (slot === undefined) return false
    const bytes = slot.closed ? 0 : slot.source.nextBytes()
    if (bytes === 0) {
      this.#round.shift()
      slot.reset()
      return true
    }
    if (!slot.granted) {
      slot.granted = true
      slot.deficit += QUANTUM_BYTES
    }
    if (bytes > slot.deficit) {
      slot.granted = false
      this.#round.shift()
      this.#round.push(slot)
      return true
    }
    slot.deficit -= bytes
    const { head, body, sent } = slot.source.take()
    this.pace.sent(bytes)
    this.#sentBytes += head.byteLength + (body?.byteLength ?? 0)
    this.#transport.send(head, body, sent)
    return true
  }

  #tellIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  #sendControl(): void {
    const messages = this.#control
    this.#control = []
    this.#controlBytes = 0
    for (const message of messages) {
      this.#sentBytes += message.byteLength
      this.#transport.send(message)
    }
  }
}
