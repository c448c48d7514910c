import type { Clock, Crypto } from '../ports.js'
import { hex } from '../protocol/token-hash.js'
import type { RelayAdmin } from '../relay/admin.js'
import { type Answer, Refusal } from './answers.js'
import { EventStream } from './event-stream.js'
import { EVENT_GROUPS, eventsQuery } from './resources.js'
import type { Exchange, Route } from './route.js'
import { alarmView, totalsView } from './views.js'

/** Readers of events at a time. */
export const MAX_EVENT_READERS = 64

const RUN_BYTES = 8

export interface EventsOptions {
  readonly admin: RelayAdmin
  readonly clock: Clock
  readonly crypto: Crypto
  readonly version: string
}

/** `GET /api/events`, and all who read there. */
export class Events {
  readonly #options: EventsOptions
  readonly #run: string
  readonly #readers = new Set<EventStream>()
  #closed = false

  constructor(options: EventsOptions) {
    this.#options = options
    this.#run = hex(options.crypto.randomBytes(RUN_BYTES))
  }

  get readers(): number {
    return this.#readers.size
  }

  get route(): Route {
    return {
      method: 'GET',
      path: '/api/events',
      access: 'read',
      summary: 'Server-sent events: the life of tokens, clients and streams, alarms, and the counts every second',
      query: eventsQuery,
      answer: { status: 200, type: 'text/event-stream' },
      failures: [503],
      handle: (exchange) => this.#open(exchange),
    }
  }

  /** Ends every stream. */
  close(): void {
    this.#closed = true
    for (const reader of [...this.#readers]) reader.close()
  }

  #open({ request, query }: Exchange): Answer {
    if (this.#closed) return new Refusal(503, 'server is shutting down')
    if (this.#readers.size >= MAX_EVENT_READERS) return new Refusal(503, 'too many readers of events')
    const { admin, clock, version } = this.#options
    const stream: EventStream = new EventStream({
      clock,
      version,
      events: admin.events,
      run: this.#run,
      stats: () => ({ draining: admin.draining, ...totalsView(admin.totals()), alarms: admin.alarms().map(alarmView) }),
      wanted: new Set(query.types?.split(',') ?? EVENT_GROUPS),
      lastEventId: request.headers.get('last-event-id'),
      over: () => this.#readers.delete(stream),
    })
    this.#readers.add(stream)
    return new Response(stream.body, {
      headers: {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        // nginx would keep events back otherwise
        'x-accel-buffering': 'no',
      },
    })
  }
}
