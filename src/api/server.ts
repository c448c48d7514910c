/** The server itself: its greeting, status, counts and alarms, and whether it is well. */
import * as v from 'valibot'
import type { DrainingProcess } from '../handover.js'
import type { RelayTotals } from '../relay/observe/client-info.js'
import type { AlarmInfo } from '../relay/observe/event-log.js'
import type { TokenStatus } from '../relay/tokens/token-spec.js'
import { count, noQuery, port, proxyProtocol, time } from './fields.js'
import { type ShowToken, showTokenTo } from './mask.js'
import { json, plainText } from './request/answers.js'
import type { Route, RouteContext } from './route.js'
import { formatTime } from './timestamp.js'

/** The line at `/`, in the deployed wording: programs recognise a relay by it. */
export function greetingRoute({ version, enabled }: RouteContext): Route {
  const rest = enabled ? '. API endpoints available at /api/*' : ' but API is not enabled.'
  return {
    method: 'GET',
    path: '/',
    access: 'open',
    summary: 'Says that a relay is there',
    answer: { status: 200, type: 'text/plain' },
    handle: () => plainText(`LinkSocks ${version} is running${rest}\n`),
  }
}

const tokenStatusSchema = v.variant('type', [
  v.object({ token: v.string(), type: v.literal('forward'), clients_count: count }),
  v.object({
    token: v.string(),
    type: v.literal('reverse'),
    /** Authenticated living clients of this token itself. */
    clients_count: count,
    /** Absent on autonomy tokens, as are `proxy_protocols`, `listening` and `error`. */
    port: v.optional(port),
    proxy_protocols: v.optional(v.array(proxyProtocol)),
    connector_tokens: v.array(v.string()),
    listening: v.optional(v.boolean()),
    /** Why the port is not open; it is tried again. */
    error: v.optional(v.string()),
  }),
])

/** Documented for deployed programs: fields may be added, none is renamed. */
export const statusSchema = v.object({ version: v.string(), tokens: v.array(tokenStatusSchema) })

export function statusRoute({ admin, version }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/api/status',
    access: 'read',
    summary: 'Version, tokens, and how many clients each has',
    answer: { status: 200, schema: statusSchema },
    handle: ({ key }) => {
      const show = showTokenTo(key)
      return json({ version, tokens: admin.tokens().map((token) => tokenStatusView(token, show)) })
    },
  }
}

function tokenStatusView(token: TokenStatus, show: ShowToken): v.InferOutput<typeof tokenStatusSchema> {
  const common = { token: show(token.token), clients_count: token.clientsCount }
  if (token.type === 'forward') return { ...common, type: 'forward' }
  return {
    ...common,
    type: 'reverse',
    ...(token.port !== undefined && { port: token.port }),
    ...(token.proxyProtocols !== undefined && { proxy_protocols: [...token.proxyProtocols] }),
    connector_tokens: token.connectorTokens.map(show),
    ...(token.listening !== undefined && { listening: token.listening }),
    ...(token.error !== undefined && { error: token.error }),
  }
}

const totalsFields = { tokens: count, clients: count, streams: count, received_bytes: count, sent_bytes: count }

const alarmSchema = v.object({
  code: v.picklist([
    'port-unavailable',
    'not-stored',
    'authentication-failures',
    'event-loop-delay',
    'out-of-descriptors',
    'certificate-not-loaded',
    'certificate-expiring',
    'certificate-not-issued',
  ]),
  subject: v.nullable(v.string()),
  message: v.string(),
  since: time,
})

/** One that had the data directory before, and lets its streams come to their end. */
const drainingProcessSchema = v.object({
  pid: count,
  version: v.string(),
  since: time,
  until: time,
  clients: count,
  streams: count,
})

const serverSchema = v.object({
  version: v.string(),
  started_at: time,
  key: v.object({ name: v.string(), role: v.picklist(['full', 'read-only']) }),
  durable: v.boolean(),
  draining: v.boolean(),
  draining_processes: v.array(drainingProcessSchema),
  ...totalsFields,
  alarms: v.array(alarmSchema),
})

export function serverRoute({ admin, version, startedAt }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/api/server',
    access: 'read',
    summary: 'The server, the key that asks, counts and alarms',
    query: noQuery,
    answer: { status: 200, schema: serverSchema },
    handle: async ({ key }) => {
      const others = await admin.drainingProcesses()
      return json({
        version,
        started_at: formatTime(startedAt),
        key: { name: key?.name, role: key?.role },
        durable: admin.durable,
        draining: admin.draining,
        draining_processes: others.map(drainingView),
        ...totalsView(admin.totals()),
        alarms: admin.alarms.active.map(alarmView),
      })
    },
  }
}

function drainingView({ since, until, ...process }: DrainingProcess): v.InferOutput<typeof drainingProcessSchema> {
  return { ...process, since: formatTime(since), until: formatTime(until) }
}

export function totalsView({ tokens, clients, streams, receivedBytes, sentBytes }: RelayTotals) {
  return { tokens, clients, streams, received_bytes: receivedBytes, sent_bytes: sentBytes }
}

export function alarmView({ code, subject, message, since }: AlarmInfo): v.InferOutput<typeof alarmSchema> {
  return { code, subject: subject ?? null, message, since: formatTime(since) }
}

const healthSchema = v.object({ status: v.literal('ok') })
const drainingSchema = v.object({ status: v.literal('draining') })

export function healthRoute(): Route {
  return {
    method: 'GET',
    path: '/healthz',
    access: 'open',
    summary: 'Whether the process answers',
    answer: { status: 200, schema: healthSchema },
    handle: () => json({ status: 'ok' }),
  }
}

export function readinessRoute({ admin }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/readyz',
    access: 'open',
    summary: 'Whether the server takes new clients',
    answer: { status: 200, schema: healthSchema },
    failureSchemas: { 503: drainingSchema },
    handle: () => (admin.draining ? json({ status: 'draining' }, { status: 503 }) : json({ status: 'ok' })),
  }
}
