/** What is tried again and again, and how each time went. */
export class Probes {
  /** Of those that worked, in milliseconds. */
  readonly latencies: number[] = []
  readonly failures: string[] = []
  readonly #probe: (round: number) => Promise<void>
  #stopped = false
  #running: Promise<void> | undefined
  #counted: () => void = () => {}

  /** @param probe throws when it does not work */
  constructor(probe: (round: number) => Promise<void>) {
    this.#probe = probe
  }

  /** Probes without a pause until `stop()`. */
  start(): this {
    this.#running ??= this.#run()
    return this
  }

  get count(): number {
    return this.latencies.length + this.failures.length
  }

  get worstMs(): number {
    return Math.round(Math.max(0, ...this.latencies))
  }

  /** Waits until `count` more have ended that began from now on. */
  async more(count: number): Promise<void> {
    // one is under way
    const end = this.count + count + 1
    while (this.count < end && !this.#stopped) {
      await new Promise<void>((resolve) => {
        this.#counted = resolve
      })
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    for (let round = 0; !this.#stopped; round += 1) {
      const began = performance.now()
      try {
        await this.#probe(round)
        this.latencies.push(performance.now() - began)
      } catch (thrown) {
        this.failures.push(`${new Date().toISOString()} after ${Math.round(performance.now() - began)} ms: ${thrown}`)
      }
      this.#counted()
    }
  }
}
