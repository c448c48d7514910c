import { LeakyCount } from '../leaky-count.js'
import type { Clock } from '../ports.js'
import { encodeLog, type Message, MessageType } from '../protocol/messages.js'

/** Probes of one peer that are answered at once; then one every {@link PROBE_FORGIVEN_MS}, and the others not at all. */
export const MAX_PROBE_ANSWERS = 10
/** One answer is forgiven after so many milliseconds. */
export const PROBE_FORGIVEN_MS = 1_000

/** Answers the Log messages by which deployed programs ask whether an end is there (docs/protocol.md A.3). */
export class ProbeAnswers {
  readonly #clock: Clock
  readonly #version: string
  readonly #given = new LeakyCount({ forgivenAfterMs: PROBE_FORGIVEN_MS })

  constructor(clock: Clock, version: string) {
    this.#clock = clock
    this.#version = version
  }

  /** @returns the message to send, if `message` is a probe and not one too many */
  answer(message: Message): Uint8Array | undefined {
    if (message.type !== MessageType.Log || message.level !== 'trace') return undefined
    if (!message.message.startsWith('probe:')) return undefined
    const now = this.#clock.now()
    if (this.#given.at(now) >= MAX_PROBE_ANSWERS) return undefined
    this.#given.add(now)
    return encodeLog({ level: 'trace', message: `pong:${JSON.stringify({ version: this.#version })}` })
  }
}
