import { within } from '../../support/wait.js'

/** Wakes who waits for something to have happened. */
export class Bell {
  readonly #waiting = new Set<() => void>()

  ring(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }

  /** What `probe` gives; it is asked now and after every ring. */
  async until<T>(what: string | (() => string), probe: () => T | undefined): Promise<T> {
    const wait = async (): Promise<T> => {
      for (;;) {
        const found = probe()
        if (found !== undefined) return found
        await new Promise<void>((resolve) => this.#waiting.add(resolve))
      }
    }
    return await within(wait(), what)
  }
}
