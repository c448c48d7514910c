import { LinkSocksError } from '../../errors.js'

/** Requests of one connection that wait for their turn, besides the one that is served; then no more are read. */
const MAX_WAITING_REQUESTS = 64

export interface RequestQueueOptions {
  /** Whether the connection takes no more answers. */
  readonly over: () => boolean
  /** All that came are served. */
  readonly empty: () => void
  /** As many wait as may: those that were read already may still be added. */
  readonly full: () => void
  /** There is room again. */
  readonly freed: () => void
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
    const { over, empty, full, freed, failed } = this.#options
    this.#open += 1
    if (this.#open > MAX_WAITING_REQUESTS) full()
    this.#last = this.#last.then(async () => {
      // an answer may have been the last one
      if (over()) return
      try {
        await serve()
      } catch (thrown) {
        failed(LinkSocksError.from(thrown, 'ERR_HTTP'))
      }
      this.#open -= 1
      if (this.#open === MAX_WAITING_REQUESTS) freed()
      if (this.#open === 0) empty()
    })
  }
}
