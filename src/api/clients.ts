/** Clients: the programs that are connected, or suspended and may come back. */
import * as v from 'valibot'
import type { ClientInfo } from '../relay/observe/client-info.js'
import { count, noQuery, publicId, time } from './fields.js'
import { pageAnswer, pageFields, pageQuery, pageQueryOf } from './paging.js'
import { json, noContent } from './request/answers.js'
import type { Route, RouteContext } from './route.js'
import { formatTime } from './timestamp.js'

const clientSchema = v.object({
  id: publicId,
  role: v.picklist(['forward', 'provider', 'connector']),
  token_id: publicId,
  address: v.string(),
  subject: v.nullable(v.string()),
  since: time,
  state: v.picklist(['connected', 'suspended']),
  rtt_ms: v.nullable(v.pipe(v.number(), v.minValue(0))),
  streams: count,
  received_bytes: count,
  sent_bytes: count,
})

const clientsSchema = v.object({ clients: v.array(clientSchema), ...pageFields })

export function listClientsRoute({ admin }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/api/clients',
    access: 'read',
    summary: 'Clients with their sessions, in the order in which they came',
    query: pageQuery,
    answer: { status: 200, schema: clientsSchema },
    handle: ({ query }) => json(pageAnswer('clients', admin.clientPage(pageQueryOf(query)), clientView)),
  }
}

export function disconnectClientRoute({ admin, audit }: RouteContext): Route {
  return {
    method: 'DELETE',
    path: '/api/clients/{id}',
    access: 'full',
    summary: 'Ends the session of a client, which may come back',
    segment: publicId,
    query: noQuery,
    answer: { status: 204 },
    failures: [404],
    handle: (exchange) => {
      admin.disconnect(exchange.segment)
      audit('client.disconnect', exchange, { client: exchange.segment })
      return noContent()
    },
  }
}

function clientView(info: ClientInfo): v.InferOutput<typeof clientSchema> {
  return {
    id: info.id,
    role: info.role,
    token_id: info.tokenId,
    address: info.address,
    subject: info.subject ?? null,
    since: formatTime(info.since),
    state: info.state,
    rtt_ms: info.roundTripMs === undefined ? null : Math.max(0, Math.round(info.roundTripMs * 1_000) / 1_000),
    streams: info.streams,
    received_bytes: info.receivedBytes,
    sent_bytes: info.sentBytes,
  }
}
