/** Server-sent events (HTML standard, section 9.2), read by fetch: the key travels in a header. */
import type { Clock, Timer } from '../ports.js'
import type { EventLog, LoggedEvent } from '../relay/observe/event-log.js'
import { eventGroup, eventView } from './event-views.js'
import { formatTime } from './timestamp.js'

/** Events that may wait for one reader; a slower reader is closed. */
export const MAX_EVENTS_BEHIND = 10_000
/** Between two events with the counts. */
export const STATS_INTERVAL_MS = 1_000
/** Between two comments, which keep proxies from cutting a silent connection. */
export const COMMENT_INTERVAL_MS = 15_000

export interface EventStreamOptions {
  readonly clock: Clock
  readonly events: EventLog
  /** Names this run of the server: ids of another run mean nothing. */
  readonly run: string
  readonly version: string
  /** What the stats event carries. */
  readonly stats: () => object
  readonly wanted: ReadonlySet<string>
  /** The header as the reader sent it. */
  readonly lastEventId: string | null
  /** Called once, when the stream has ended. */
  readonly ended: () => void
}

/** One reader of events. */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>
  readonly #options: EventStreamOptions
  readonly #unsubscribe: () => void
  readonly #timers: Timer[] = []
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #waiting: string[] = []
  #asked = false
  #ended = false

  constructor(options: EventStreamOptions) {
    this.#options = options
    this.body = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => {
          this.#asked = true
          this.#flush()
        },
        cancel: () => this.close(),
      },
      { highWaterMark: 0 },
    )
    this.#greet()
    this.#unsubscribe = options.events.subscribe((event) => this.#pushEvent(event))
    if (options.wanted.has('stats')) this.#every(STATS_INTERVAL_MS, () => this.#pushStats())
    this.#every(COMMENT_INTERVAL_MS, () => this.#push(':\n\n'))
    if (options.wanted.has('stats')) this.#pushStats()
  }

  /** Idempotent. */
  close(): void {
    if (this.#ended) return
    this.#ended = true
    this.#unsubscribe()
    for (const timer of this.#timers) timer.cancel()
    this.#waiting = []
    try {
      this.#controller?.close()
    } catch {
      // cancelled: the reader has gone
    }
    this.#options.ended()
  }

  #greet(): void {
    const { events, clock, version, run, lastEventId } = this.#options
    const missed = this.#missed()
    // a reader that is cut off before it has all missed events comes again from where it was
    const id = missed !== undefined && missed.length > 0 && lastEventId !== null ? lastEventId : `${run}-${events.last}`
    this.#push(block('hello', { version, time: formatTime(clock.wallTime()) }, id))
    if (missed === undefined) this.#push(block('missed', {}))
    else for (const event of missed) this.#pushEvent(event)
  }

  /** Events since the reader was here last; `undefined` when these are not known any more. */
  #missed(): readonly LoggedEvent[] | undefined {
    const { lastEventId, run, events } = this.#options
    if (lastEventId === null || lastEventId === '') return []
    const [, ofRun, sequence] = /^([\da-f]+)-(\d{1,15})$/.exec(lastEventId) ?? []
    const missed = ofRun === run ? events.after(Number(sequence)) : undefined
    return missed?.filter(({ event }) => this.#options.wanted.has(eventGroup(event)))
  }

  #pushEvent({ event, sequence, time }: LoggedEvent): void {
    if (!this.#options.wanted.has(eventGroup(event))) return
    this.#push(block(event.type, { time: formatTime(time), ...eventView(event) }, `${this.#options.run}-${sequence}`))
  }

  #pushStats(): void {
    const { clock, stats } = this.#options
    this.#push(block('stats', { time: formatTime(clock.wallTime()), ...stats() }))
  }

  #every(ms: number, action: () => void): void {
    const index = this.#timers.length
    const again = (): void => {
      this.#timers[index] = this.#options.clock.after(ms, () => {
        again()
        action()
      })
    }
    again()
  }

  #push(text: string): void {
    if (this.#ended) return
    if (this.#waiting.length >= MAX_EVENTS_BEHIND) return this.close()
    this.#waiting.push(text)
    if (this.#asked) this.#flush()
  }

  /** Events that waited for a busy reader go out in one piece. */
  #flush(): void {
    if (this.#waiting.length === 0 || this.#ended) return
    const text = this.#waiting.join('')
    this.#waiting = []
    this.#asked = false
    this.#controller?.enqueue(new TextEncoder().encode(text))
  }
}

/** JSON holds no line ends. */
function block(event: string, data: object, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
