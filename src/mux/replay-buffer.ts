import { LinkSocksError } from '../errors.js'
import type { MessageTransport } from '../ports.js'
import type { ReplayBudget } from './replay-budget.js'

/** Added to every message's size, so that tiny ones are not free. */
const MESSAGE_OVERHEAD_BYTES = 256
/** The used front is cut off so many messages at a time. */
const FRONT_MESSAGES = 256

type Memory = Pick<MessageTransport, 'retain' | 'release'>

class Kept {
  readonly head: Uint8Array
  readonly body: Uint8Array | undefined
  /** Of head and body: whether the memory is retained, else it is the buffer's own. */
  readonly retained: readonly [boolean, boolean]

  constructor(head: Uint8Array, body: Uint8Array | undefined, memory: Memory) {
    this.retained = [memory.retain(head), body !== undefined && memory.retain(body)]
    // a head that nobody manages was made for this message; a body may be anybody's
    this.head = head
    this.body = body === undefined || this.retained[1] ? body : new Uint8Array(body)
  }

  get cost(): number {
    return this.head.byteLength + (this.body?.byteLength ?? 0) + MESSAGE_OVERHEAD_BYTES
  }
}

/**
 * Session messages that were sent and are not acknowledged, in order (docs/protocol.md B.3). Large ones are not copied:
 * their memory is kept from being used again.
 */
export class ReplayBuffer {
  readonly #memory: Memory
  readonly #budget: ReplayBudget
  #messages: (Kept | undefined)[] = []
  /** Where in the array the oldest message is. */
  #first = 0
  /** Messages acknowledged since the session began. */
  #acknowledged = 0
  #bytes = 0
  /** Messages, counted since the session began, that the present transport was given. */
  #given = 0

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
    return this.#acknowledged + this.#messages.length - this.#first
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

  /** The next message for the present transport, which must be there (see {@link behind}). */
  next(): { readonly head: Uint8Array; readonly body: Uint8Array | undefined } {
    const kept = this.#messages[this.#first + this.#given - this.#acknowledged]
    this.#given += 1
    return kept as Kept
  }

  /** A message just pushed goes out at once. */
  passed(): void {
    this.#given += 1
  }

  /** Whether the peer can have received so many messages. */
  covers(received: number): boolean {
    return received >= this.#acknowledged && received <= this.sent
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
    this.#given = this.sent
    this.acknowledge(received)
    this.#given = received
  }

  /** Gives everything back. */
  clear(): void {
    this.#given = this.sent
    while (this.#first < this.#messages.length) this.#drop()
  }

  #drop(): void {
    const kept = this.#messages[this.#first] as Kept
    // not kept until the front is cut off
    this.#messages[this.#first] = undefined
    this.#first += 1
    this.#acknowledged += 1
    if (kept.retained[0]) this.#memory.release(kept.head)
    if (kept.retained[1] && kept.body !== undefined) this.#memory.release(kept.body)
    this.#count(-kept.cost)
    if (this.#first < FRONT_MESSAGES && this.#first < this.#messages.length) return
    this.#messages.splice(0, this.#first)
    this.#first = 0
  }

  #count(bytes: number): void {
    this.#budget.move(this.#bytes, this.#bytes + bytes)
    this.#bytes += bytes
  }
}
