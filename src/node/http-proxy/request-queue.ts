import { LinkSocksError } from '../../errors.js'

/** Requests of one connection that wait for their turn, besides the one that is served. */
const MAX_WAITING_REQUESTS = 64

export interface RequestQueueOptions {
  /** Whether the connection takes no more answers. */
  readonly over: () => boolean
  /** All that came are served. */
  readonly empty: () => void
  /** More wait than may. */
  readonly crowded: () => void
  /** One has thrown, which nobody expected. */
  readonly failed: (error: LinkSocksError) => void
}

/** Serves the requests of one connection one after the other, as they came. */
export class RequestQueue {
  readonly #options: RequestQueueOptions
  #last: Promise<void> = Promise.resolve()
  /** Requests that are not answered. */
  #open = 0

  constructor(options: RequestQueueOptions) {
    this.#options = options
  }

  /** @param serve settles when the request is answered */
  add(serve: () => Promise<void>): void {
    const { over, empty, crowded, failed } = this.#options
    this.#open += 1
    if (this.#open > MAX_WAITING_REQUESTS + 1) return crowded()
    this.#last = this.#last.then(async () => {
      // an answer may have been the last one
      if (over()) return
      try {
        await serve()
      } catch (thrown) {
        failed(LinkSocksError.from(thrown, 'ERR_HTTP'))
      }
      this.#open -= 1
      if (this.#open === 0) empty()
    })
  }
}
