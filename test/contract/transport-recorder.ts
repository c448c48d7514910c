import type { TransportClose, TransportHandler } from '../../src/ports.js'

/** Records what one end is told, and waits for it. */
export class TransportRecorder implements TransportHandler {
  readonly messages: Uint8Array[] = []
  readonly closes: TransportClose[] = []
  activities = 0
  drains = 0
  pongs = 0
  /** What `activities` was when each message came. */
  readonly activitiesAtMessage: number[] = []
  #waiters: (() => void)[] = []

  message(data: Uint8Array): void {
    this.messages.push(data)
    this.activitiesAtMessage.push(this.activities)
    this.#wake()
  }

  activity(): void {
    this.activities += 1
    this.#wake()
  }

  pong(): void {
    this.pongs += 1
    this.#wake()
  }

  drain(): void {
    this.drains += 1
    this.#wake()
  }

  close(info: TransportClose): void {
    this.closes.push(info)
    this.#wake()
  }

  /** Resolves once `condition` holds; looked at after each event. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  async closed(): Promise<TransportClose> {
    await this.until(() => this.closes.length > 0)
    return this.closes[0] as TransportClose
  }

  get totalBytes(): number {
    return this.messages.reduce((sum, message) => sum + message.byteLength, 0)
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }
}
