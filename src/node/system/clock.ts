import type { Clock, Timer } from '../../ports.js'

/** Longest delay of one setTimeout; Node fires at once for anything above, so longer waits are cut into pieces. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

class NodeTimer implements Timer {
  #handle: NodeJS.Timeout | undefined

  constructor(delayMs: number, callback: () => void) {
    this.#arm(delayMs, callback)
  }

  cancel(): void {
    clearTimeout(this.#handle)
    this.#handle = undefined
  }

  #arm(delayMs: number, callback: () => void): void {
    this.#handle =
      delayMs <= MAX_TIMEOUT_MS
        ? setTimeout(callback, delayMs)
        : setTimeout(() => this.#arm(delayMs - MAX_TIMEOUT_MS, callback), MAX_TIMEOUT_MS)
    this.#handle.unref()
  }
}

/** Node's monotonic clock and timers; a timer may fire up to 1 ms early by `now()`. */
export const nodeClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after: (delayMs, callback) => new NodeTimer(delayMs, callback),
}
