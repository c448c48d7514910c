import { LinkSocksError } from '../../errors.js'
import type { MessageTransport } from '../../ports.js'
import { Fifo } from '../../streams/fifo.js'
import type { ReplayBudget } from './replay-budget.js'

/** Added to every message's size, so that tiny ones are not free. */
const MESSAGE_OVERHEAD_BYTES = 256

type Memory = Pick<MessageTransport, 'retain' | 'release'>

/** One message, until it is acknowledged and no connection holds it any more. */
class Kept {
  readonly #memory: Memory
  readonly head: Uint8Array
  readonly body: Uint8Array | undefined
  /** Whether the memory of head and body is retained. */
  readonly #headRetained: boolean
  readonly #bodyRetained: boolean
  /** Connections that were given it and have not said that it left. */
  #given = 0
  #acknowledged = false

  constructor(head: Uint8Array, body: Uint8Array | undefined, memory: Memory) {
    this.#memory = memory
    this.#headRetained = memory.retain(head)
    this.#bodyRetained = body !== undefined && memory.retain(body)
    this.head = head
    // what nobody keeps for us may be used again at once
    this.body = body === undefined || this.#bodyRetained ? body : new Uint8Array(body)
  }

  get cost(): number {
    return this.head.byteLength + (this.body?.byteLength ?? 0) + MESSAGE_OVERHEAD_BYTES
  }

  /** A connection is given it. @returns what is to be called when it has left; nothing where that doesn't matter */
  give(): (() => void) | undefined {
    if (!this.#headRetained && !this.#bodyRetained) return undefined
    this.#given += 1
    return () => {
      this.#given -= 1
      this.#release()
    }
  }

  acknowledge(): void {
    this.#acknowledged = true
    this.#release()
  }

  /** A peer may acknowledge what still waits for the socket: used again, it would carry somebody else's bytes. */
  #release(): void {
    if (!this.#acknowledged || this.#given > 0) return
    if (this.#headRetained) this.#memory.release(this.head)
    if (this.#bodyRetained && this.body !== undefined) this.#memory.release(this.body)
  }
}

/**
 * Session messages that were sent and are not acknowledged, in order (docs/protocol.md B.3). Large ones are not copied:
 * their memory is kept from being used again.
 */
export class ReplayBuffer {
  readonly #memory: Memory
  readonly #budget: ReplayBudget
  readonly #messages = new Fifo<Kept>()
  /** Messages acknowledged since the session began. */
  #acknowledged = 0
  #bytes = 0
  /** Messages, counted since the session began, that the present transport was given. */
  #given = 0
  /** The same of any transport: the peer can't have received more. */
  #everGiven = 0

  constructor(memory: Memory, budget: ReplayBudget) {
    this.#memory = memory
    this.#budget = budget
  }

  /** What is kept, with what each message costs besides its bytes. */
  get bytes(): number {
    return this.#bytes
  }

  get full(): boolean {
    return !this.#budget.hasRoom(this.#bytes)
  }

  /** Messages since the session began. */
  get sent(): number {
    return this.#acknowledged + this.#messages.length
  }

  /** Messages wait for their turn on the present transport. */
  get behind(): boolean {
    return this.#given < this.sent
  }

  /** Keeps a message that is going to be sent. `body` may change from here on. */
  push(head: Uint8Array, body: Uint8Array | undefined): void {
    const kept = new Kept(head, body, this.#memory)
    this.#messages.push(kept)
    this.#count(kept.cost)
  }

  /** Gives the next message to `transport`, which must be the present one; there must be one (see {@link behind}). */
  giveNext(transport: Pick<MessageTransport, 'send'>): void {
    const kept = this.#messages.at(this.#given - this.#acknowledged) as Kept
    this.#given += 1
    this.#everGiven = Math.max(this.#everGiven, this.#given)
    transport.send(kept.head, kept.body, kept.give())
  }

  /** Whether the peer can have received so many messages. */
  covers(received: number): boolean {
    return received >= this.#acknowledged && received <= this.#everGiven
  }

  /**
   * The peer has received the first `received` messages.
   * @throws {LinkSocksError} ERR_MESSAGE_INVALID when it can't have
   */
  acknowledge(received: number): void {
    if (received < this.#acknowledged || received > this.#given) {
      throw new LinkSocksError('ERR_MESSAGE_INVALID', 'an acknowledgement for messages that were not sent')
    }
    while (this.#acknowledged < received) this.#drop()
  }

  /** A new transport begins behind what the peer has received. @throws {LinkSocksError} as acknowledge() */
  rewind(received: number): void {
    if (!this.covers(received)) {
      throw new LinkSocksError('ERR_MESSAGE_INVALID', 'the peer has received what was not sent')
    }
    this.#given = this.#everGiven
    this.acknowledge(received)
    this.#given = received
  }

  /** Gives everything back. */
  clear(): void {
    this.#given = this.sent
    this.#everGiven = this.sent
    while (this.#messages.length > 0) this.#drop()
  }

  #drop(): void {
    const kept = this.#messages.shift() as Kept
    this.#acknowledged += 1
    kept.acknowledge()
    this.#count(-kept.cost)
  }

  #count(bytes: number): void {
    this.#budget.move(this.#bytes, this.#bytes + bytes)
    this.#bytes += bytes
  }
}
