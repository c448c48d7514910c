/** Added to every waiting message's size, so that tiny ones are not free. */
const MESSAGE_OVERHEAD_BYTES = 64

/** What a waiting message counts. */
export const costOf = (raw: Uint8Array): number => raw.byteLength + MESSAGE_OVERHEAD_BYTES

/** Messages that wait to leave, in order. */
export class MessageQueue {
  readonly #maxBytes: number
  #messages: (Uint8Array | undefined)[] = []
  #first = 0
  #bytes = 0

  /** @param maxBytes above this the oldest messages are dropped. @default unlimited, where credit or a Hold bounds what comes */
  constructor(maxBytes = Number.POSITIVE_INFINITY) {
    this.#maxBytes = maxBytes
  }

  /** Size of the first message, 0 without one. */
  get nextBytes(): number {
    return this.#messages[this.#first]?.byteLength ?? 0
  }

  /** @returns what the messages that had to go were counted with. */
  push(raw: Uint8Array): number {
    this.#messages.push(raw)
    this.#bytes += costOf(raw)
    let dropped = 0
    while (this.#bytes > this.#maxBytes) dropped += costOf(this.shift())
    return dropped
  }

  /** Takes the first message, which must be there. */
  shift(): Uint8Array {
    const raw = this.#messages[this.#first] ?? new Uint8Array()
    this.#messages[this.#first] = undefined
    this.#first += 1
    this.#bytes -= costOf(raw)
    // the used front is cut off now and then, so that a step stays cheap
    if (this.#first === this.#messages.length || this.#first >= 1024) {
      this.#messages.splice(0, this.#first)
      this.#first = 0
    }
    return raw
  }

  /** Takes them all. */
  takeAll(): Uint8Array[] {
    const all = this.#messages.filter((raw) => raw !== undefined)
    this.clear()
    return all
  }

  clear(): void {
    this.#messages = []
    this.#first = 0
    this.#bytes = 0
  }

  /** What waits, each message counted with {@link MESSAGE_OVERHEAD_BYTES}. */
  get bytes(): number {
    return this.#bytes
  }
}
