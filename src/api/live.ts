/** What runs now: the server itself, its clients and streams. */
import type { RelayAdmin } from '../relay/admin.js'
import { type Answer, json, noContent } from './answers.js'
import type { Audit } from './audit.js'
import { pageAnswer, pageQueryOf } from './paging.js'
import {
  clientsSchema,
  healthSchema,
  noQuery,
  pageQuery,
  publicId,
  type StreamsQuery,
  serverSchema,
  streamsQuery,
  streamsSchema,
  unreadySchema,
} from './resources.js'
import type { Exchange, Route } from './route.js'
import { formatTime } from './timestamp.js'
import { alarmView, clientView, streamView, totalsView } from './views.js'

export interface LiveRouteOptions {
  readonly admin: RelayAdmin
  readonly audit: Audit
  readonly version: string
  /** Unix milliseconds. */
  readonly startedAt: number
}

export function liveRoutes(options: LiveRouteOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/server',
      access: 'read',
      summary: 'The server, the key that asks, counts and alarms',
      query: noQuery,
      answer: { status: 200, schema: serverSchema },
      handle: (exchange) => server(options, exchange),
    },
    {
      method: 'GET',
      path: '/api/clients',
      access: 'read',
      summary: 'Clients with their sessions, in the order in which they came',
      query: pageQuery,
      answer: { status: 200, schema: clientsSchema },
      handle: (exchange) => clients(options, exchange),
    },
    {
      method: 'DELETE',
      path: '/api/clients/{id}',
      access: 'full',
      summary: 'Ends the session of a client, which may come back',
      segment: publicId,
      query: noQuery,
      answer: { status: 204 },
      failures: [404],
      handle: (exchange) => disconnect(options, exchange),
    },
    {
      method: 'GET',
      path: '/api/streams',
      access: 'read',
      summary: 'Streams that are not over',
      query: streamsQuery,
      answer: { status: 200, schema: streamsSchema },
      handle: (exchange) => streams(options, exchange),
    },
    {
      method: 'GET',
      path: '/healthz',
      access: 'open',
      summary: 'Whether the process answers',
      answer: { status: 200, schema: healthSchema },
      handle: () => json({ status: 'ok' }),
    },
    {
      method: 'GET',
      path: '/readyz',
      access: 'open',
      summary: 'Whether the server takes new clients',
      answer: { status: 200, schema: healthSchema },
      failureSchemas: { 503: unreadySchema },
      handle: () => (options.admin.draining ? json({ status: 'draining' }, { status: 503 }) : json({ status: 'ok' })),
    },
  ]
}

function server({ admin, version, startedAt }: LiveRouteOptions, { key }: Exchange): Answer {
  return json({
    version,
    started_at: formatTime(startedAt),
    key: { name: key?.name, role: key?.role },
    durable: admin.durable,
    draining: admin.draining,
    ...totalsView(admin.totals()),
    alarms: admin.alarms().map(alarmView),
  })
}

function clients({ admin }: LiveRouteOptions, { query }: Exchange): Answer {
  return json(pageAnswer('clients', admin.clientPage(pageQueryOf(query)), clientView))
}

function disconnect({ admin, audit }: LiveRouteOptions, exchange: Exchange): Answer {
  admin.disconnect(exchange.segment)
  audit('client.disconnect', exchange, { client: exchange.segment })
  return noContent()
}

function streams({ admin }: LiveRouteOptions, { query }: Exchange): Answer {
  const { token: tokenId, client: clientId, order, ...rest } = query as StreamsQuery
  const wanted = { ...pageQueryOf(rest), tokenId, clientId, descending: order === 'newest' }
  return json(pageAnswer('streams', admin.streamPage(wanted), streamView))
}
