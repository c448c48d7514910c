import { Lru } from '../../lru.js'
import type { Clock } from '../../ports.js'
import { Compression, decodeMessage, encodeDisconnect, MessageType } from '../../protocol/messages.js'
import { channelKey } from '../../protocol/uuid.js'

/** Channels of which the last answer is remembered; beyond that the oldest is forgotten. */
const MAX_REMEMBERED = 1_024
const REPEAT_AFTER_MS = 1_000

/** Answers Data for channels that a relay does not know, at most once a second and channel (docs/protocol.md A.4). */
export class UnknownChannels {
  readonly #clock: Clock
  readonly #answered = new Lru<string, number>(MAX_REMEMBERED)

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @returns the Disconnect to send, if any. */
  answer(raw: Uint8Array, type: number): Uint8Array | undefined {
    if (type !== MessageType.Data) return undefined
    const message = decodeMessage(raw)
    if (message?.type !== MessageType.Data || message.compression === Compression.Control) return undefined
    const key = channelKey(message.channelId)
    const now = this.#clock.now()
    if (now - (this.#answered.get(key) ?? Number.NEGATIVE_INFINITY) < REPEAT_AFTER_MS) return undefined
    this.#answered.set(key, now)
    return encodeDisconnect({ channelId: message.channelId, error: 'unknown channel' })
  }
}
