/** The events of the relay, for readers that stay. */
import * as v from 'valibot'
import type { Clock, Crypto } from '../ports.js'
import { hex } from '../protocol/hex.js'
import type { RelayAdmin } from '../relay/admin.js'
import { EventStream } from './event-stream.js'
import { queryOf } from './fields.js'
import { type Answer, Refusal } from './request/answers.js'
import type { Exchange, Route } from './route.js'
import { alarmView, totalsView } from './server.js'

/** Readers of events at a time. */
export const MAX_EVENT_READERS = 64

const RUN_BYTES = 8

const EVENT_GROUPS = ['token', 'client', 'stream', 'policy', 'alarm', 'stats'] as const
const TYPES_ERROR = `types must be some of ${EVENT_GROUPS.join(',')}`
const oneGroup = `(?:${EVENT_GROUPS.join('|')})`
const eventsQuery = queryOf({
  types: v.optional(v.pipe(v.string(), v.regex(new RegExp(`^${oneGroup}(?:,${oneGroup})*$`), TYPES_ERROR))),
})

export function eventsRoute(readers: EventReaders): Route {
  return {
    method: 'GET',
    path: '/api/events',
    access: 'read',
    summary: 'Server-sent events: the life of tokens, clients and streams, alarms, and the counts every second',
    query: eventsQuery,
    answer: { status: 200, type: 'text/event-stream' },
    failures: [503],
    handle: (exchange) => readers.open(exchange),
  }
}

export interface EventReadersOptions {
  readonly admin: RelayAdmin
  readonly clock: Clock
  readonly crypto: Crypto
  readonly version: string
}

/** All readers of events. */
export class EventReaders {
  readonly #options: EventReadersOptions
  readonly #run: string
  readonly #streams = new Set<EventStream>()
  #closed = false

  constructor(options: EventReadersOptions) {
    this.#options = options
    this.#run = hex(options.crypto.randomBytes(RUN_BYTES))
  }

  get size(): number {
    return this.#streams.size
  }

  /** @returns an endless answer, or a refusal when there are {@link MAX_EVENT_READERS} already and after close() */
  open({ request, query }: Exchange): Answer {
    if (this.#closed) return new Refusal(503, 'server is shutting down')
    if (this.#streams.size >= MAX_EVENT_READERS) return new Refusal(503, 'too many readers of events')
    const { admin, clock, version } = this.#options
    const stream: EventStream = new EventStream({
      clock,
      version,
      events: admin.events,
      run: this.#run,
      stats: () => ({
        draining: admin.draining,
        ...totalsView(admin.totals()),
        alarms: admin.alarms.active.map(alarmView),
      }),
      wanted: new Set(query.types?.split(',') ?? EVENT_GROUPS),
      lastEventId: request.headers.get('last-event-id'),
      ended: () => this.#streams.delete(stream),
    })
    this.#streams.add(stream)
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

  /** Ends every stream, and refuses further readers. */
  close(): void {
    this.#closed = true
    for (const stream of [...this.#streams]) stream.close()
  }
}
