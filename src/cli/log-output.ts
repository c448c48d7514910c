import { Buffer } from 'node:buffer'
import type { LogDestination } from '../node/system/pino-logger.js'
import { KIB } from '../protocol/limits.js'
import type { LineSink } from './settings/terminal-sink.js'

/** Bytes of log lines that wait for their reader; lines beyond that are lost, audit lines as all others. */
export const MAX_WAITING_LOG_BYTES = 128 * KIB

/** Writes log lines as far as somebody reads them: a reader that stands still costs lines, and nothing else. */
export class LogOutput implements LogDestination {
  readonly #sink: LineSink
  readonly #onLost: (lines: number) => void
  #lost = 0

  /** @param onLost called when the reader has caught up, with the number of lines that it does not get */
  constructor(sink: LineSink, onLost: (lines: number) => void) {
    this.#sink = sink
    this.#onLost = onLost
  }

  write(line: string): void {
    const waiting = this.#sink.writableLength ?? 0
    if (waiting > 0 && waiting + Buffer.byteLength(line) > MAX_WAITING_LOG_BYTES) return this.#lose()
    this.#sink.write(line)
  }

  #lose(): void {
    if (this.#lost === 0) this.#sink.once?.('drain', () => this.#caughtUp())
    this.#lost += 1
  }

  #caughtUp(): void {
    const lost = this.#lost
    this.#lost = 0
    this.#onLost(lost)
  }
}
