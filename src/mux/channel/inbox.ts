import { LinkSocksError } from '../../errors.js'
import type { Inflate } from '../../ports.js'
import { MAX_INFLATED_BYTES, MIB } from '../../protocol/limits.js'
import { Compression, type DataMessage, decodeMessage, type Message, MessageType } from '../../protocol/messages.js'

/** When so much of one channel waits for the inflation of an earlier message, the transport is not read any more. */
export const CROWDED_INBOX_BYTES = 4 * MIB
/** What may come all the same: it had been read already. */
export const MAX_EXCESS_BYTES = 4 * MIB

export interface InboxEvents {
  /**
   * A message, in the order of arrival; the data of a gzip Data message is inflated and its compression None.
   * @throws {LinkSocksError} the peer's mistake, which `failed()` then tells of
   */
  message(message: Message): void
  /** A message was a mistake: undecodable, not to be inflated, or too much waits. Those behind it follow unless the inbox is closed. */
  failed(error: LinkSocksError): void
  /** A message came, and more than {@link CROWDED_INBOX_BYTES} wait: no more should be read for a while. */
  crowded(): void
  /** After `crowded()`: less waits again, or the inbox is closed. */
  relieved(): void
}

interface Waiting {
  readonly message: Message
  readonly bytes: number
}

/** Keeps a channel's messages in order while gzip data is inflated. */
export class Inbox {
  readonly #inflate: Inflate
  readonly #events: InboxEvents
  #waiting: Waiting[] | undefined
  #waitingBytes = 0
  /** What came since it is crowded. */
  #excessBytes: number | undefined
  #closed = false

  constructor(inflate: Inflate, events: InboxEvents) {
    this.#inflate = inflate
    this.#events = events
  }

  push(raw: Uint8Array): void {
    if (this.#closed) return
    // not #guard(): a function for each message of the data plane
    try {
      this.#take(raw)
    } catch (thrown) {
      this.#events.failed(LinkSocksError.from(thrown, 'ERR_CHANNEL_PROTOCOL'))
    }
  }

  close(): void {
    this.#closed = true
    this.#waiting = undefined
    this.#relieve()
  }

  #take(raw: Uint8Array): void {
    const message = decodeMessage(raw)
    if (message === undefined) return
    if (this.#waiting === undefined) return this.#handle(message)
    const bytes = raw.byteLength
    if (this.#excessBytes !== undefined) this.#excess(bytes)
    this.#waiting.push({ message, bytes })
    this.#waitingBytes += bytes
    if (this.#waitingBytes <= CROWDED_INBOX_BYTES) return
    this.#excessBytes ??= 0
    this.#events.crowded()
  }

  /** The message that made it crowded has any size; behind it the transport stands still. */
  #excess(bytes: number): void {
    const excess = (this.#excessBytes ?? 0) + bytes
    if (excess > MAX_EXCESS_BYTES) throw new LinkSocksError('ERR_LIMIT', 'too much data waits for inflation')
    this.#excessBytes = excess
  }

  #relieve(): void {
    if (this.#excessBytes === undefined) return
    this.#excessBytes = undefined
    this.#events.relieved()
  }

  #handle(message: Message): void {
    if (isGzip(message)) this.#inflateThenGoOn(message)
    else this.#events.message(message)
  }

  #guard(action: () => void): void {
    try {
      action()
    } catch (thrown) {
      this.#events.failed(LinkSocksError.from(thrown, 'ERR_CHANNEL_PROTOCOL'))
    }
  }

  #inflateThenGoOn(message: DataMessage): void {
    this.#waiting ??= []
    this.#inflate(message.data, MAX_INFLATED_BYTES).then(
      (data) => this.#settled(() => this.#events.message({ ...message, data, compression: Compression.None })),
      (thrown: unknown) => this.#settled(() => this.#events.failed(LinkSocksError.from(thrown, 'ERR_MESSAGE_INVALID'))),
    )
  }

  #settled(tell: () => void): void {
    if (this.#closed) return
    this.#guard(tell)
    const waiting = this.#waiting ?? []
    // what comes in meanwhile joins the end of the same array
    for (const [index, { message, bytes }] of waiting.entries()) {
      if (this.#closed) return
      this.#waitingBytes -= bytes
      if (this.#waitingBytes <= CROWDED_INBOX_BYTES) this.#relieve()
      this.#guard(() => this.#handle(message))
      if (isGzip(message)) {
        // everything behind it waits again
        this.#waiting = waiting.slice(index + 1)
        return
      }
    }
    this.#waiting = undefined
  }
}

function isGzip(message: Message): message is DataMessage {
  return message.type === MessageType.Data && message.compression === Compression.Gzip
}
