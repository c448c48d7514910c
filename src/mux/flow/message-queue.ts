import { Fifo } from '../../streams/fifo.js'

export interface MessageQueueOptions {
  /** Above this the oldest messages are dropped. @default unlimited, where credit or a Hold bounds what comes */
  readonly maxBytes?: number | undefined
  /** Added to every message's size, so that tiny ones are not free. @default 0 */
  readonly overheadBytes?: number | undefined
  /** Above this many the oldest are dropped as well; asked with each message. @default as many as there is room for */
  readonly maxMessages?: (() => number) | undefined
}

/** Messages that wait to leave, in order. */
export class MessageQueue {
  readonly #messages = new Fifo<Uint8Array>()
  readonly #maxBytes: number
  readonly #overheadBytes: number
  readonly #maxMessages: (() => number) | undefined
  #bytes = 0
  #dropped = 0

  constructor({ maxBytes = Number.POSITIVE_INFINITY, overheadBytes = 0, maxMessages }: MessageQueueOptions = {}) {
    this.#maxMessages = maxMessages
    this.#maxBytes = maxBytes
    this.#overheadBytes = overheadBytes
  }

  get first(): Uint8Array | undefined {
    return this.#messages.first
  }

  /** Size of the first message, 0 without one. */
  get nextBytes(): number {
    return this.#messages.first?.byteLength ?? 0
  }

  /** The size of all messages, each with its overhead. */
  get bytes(): number {
    return this.#bytes
  }

  /** Messages that gave way to newer ones since the queue was made. */
  get dropped(): number {
    return this.#dropped
  }

  /** @returns the size of the messages that gave way, each with its overhead */
  push(message: Uint8Array): number {
    this.#messages.push(message)
    this.#bytes += message.byteLength + this.#overheadBytes
    const most = this.#maxMessages?.() ?? Number.POSITIVE_INFINITY
    return this.#bytes > this.#maxBytes || this.#messages.length > most ? this.#makeRoom(most) : 0
  }

  /** Takes the first message, which must be there. */
  shift(): Uint8Array {
    const message = this.#messages.shift() as Uint8Array
    this.#bytes -= message.byteLength + this.#overheadBytes
    return message
  }

  /** Takes them all. */
  takeAll(): Uint8Array[] {
    const all: Uint8Array[] = []
    while (this.#messages.length > 0) all.push(this.shift())
    return all
  }

  clear(): void {
    this.#messages.clear()
    this.#bytes = 0
  }

  #makeRoom(most: number): number {
    const before = this.#bytes
    while (this.#bytes > this.#maxBytes || this.#messages.length > most) {
      this.shift()
      this.#dropped += 1
    }
    return before - this.#bytes
  }
}
