/** Streams: the connections and UDP associations that run through the relay. */
import * as v from 'valibot'
import type { StreamInfo } from '../relay/observe/streams.js'
import { count, idOf, proxyProtocol, publicId, queryOf, time } from './fields.js'
import { pageAnswer, pageFields, pageParameters, pageQueryOf } from './paging.js'
import { type Answer, json } from './request/answers.js'
import type { Exchange, Route, RouteContext } from './route.js'
import { formatTime } from './timestamp.js'

const streamsQuery = queryOf({
  ...pageParameters,
  token: v.optional(idOf('token')),
  client: v.optional(idOf('client')),
  order: v.optional(v.picklist(['oldest', 'newest'], 'order must be oldest or newest')),
})

const streamSchema = v.object({
  id: v.pipe(v.string(), v.regex(/^[1-9][0-9]*$/)),
  mode: v.picklist(['forward', 'reverse', 'agent']),
  protocol: v.picklist(['tcp', 'udp']),
  inbound: v.nullable(proxyProtocol),
  target: v.nullable(v.string()),
  token_id: publicId,
  client_id: v.nullable(publicId),
  provider_id: v.nullable(publicId),
  state: v.picklist(['opening', 'open']),
  since: time,
  sent_bytes: count,
  received_bytes: count,
})

const streamsSchema = v.object({ streams: v.array(streamSchema), ...pageFields })

export function listStreamsRoute(context: RouteContext): Route {
  return {
    method: 'GET',
    path: '/api/streams',
    access: 'read',
    summary: 'Streams that are not over',
    query: streamsQuery,
    answer: { status: 200, schema: streamsSchema },
    handle: (exchange) => listStreams(context, exchange),
  }
}

function listStreams({ admin }: RouteContext, { query }: Exchange): Answer {
  const { token: tokenId, client: clientId, order, ...rest } = query as v.InferOutput<typeof streamsQuery>
  const wanted = { ...pageQueryOf(rest), tokenId, clientId, descending: order === 'newest' }
  return json(pageAnswer('streams', admin.streamPage(wanted), streamView))
}

function streamView(info: StreamInfo): v.InferOutput<typeof streamSchema> {
  return {
    id: String(info.id),
    mode: info.mode,
    protocol: info.protocol,
    inbound: info.inbound ?? null,
    target: info.target ?? null,
    token_id: info.tokenId,
    client_id: info.clientId ?? null,
    provider_id: info.providerId ?? null,
    state: info.state,
    since: formatTime(info.since),
    sent_bytes: info.sentBytes,
    received_bytes: info.receivedBytes,
  }
}
