/** What went through tokens, and what is left of their quotas. */
import * as v from 'valibot'
import type { PolicyReason } from '../relay/policies/policed-token.js'
import type { TokenUsageInfo } from '../relay/tokens/token-spec.js'
import type { QuotaState } from '../relay/traffic/token-traffic.js'
import { count, noQuery, publicId, time } from './fields.js'
import { type Answer, json, Refusal } from './request/answers.js'
import type { Exchange, Route, RouteContext } from './route.js'
import { formatTime } from './timestamp.js'
import { quotaDirection, quotaPeriod } from './token-policy.js'

export const quotaStateSchema = v.nullable(
  v.object({
    bytes: count,
    period: quotaPeriod,
    direction: quotaDirection,
    /** Bytes that count. */
    used: count,
    used_up: v.boolean(),
    /** Of a total there is none. */
    resets_at: v.nullable(time),
  }),
)

/** Bytes towards destinations, and from them. */
const bytes = v.object({ up: count, down: count })

const usageSchema = v.object({
  token_id: publicId,
  since: time,
  total: bytes,
  month: bytes,
  day: bytes,
  /** Bytes a second, as of the last few seconds. */
  rate: bytes,
  /** Bytes that had to wait for the rate, since the start of the server. */
  throttled: bytes,
  dropped_datagrams: count,
  /** How often the policy refused something, since the start of the server. */
  refusals: v.object({
    egress: count,
    depends: count,
    streams: count,
    connects: count,
    hours: count,
    sources: count,
    subjects: count,
    clients: count,
    quota: count,
  } satisfies Record<PolicyReason, unknown>),
  quota: quotaStateSchema,
})

export function tokenUsageRoute(context: RouteContext): Route {
  return {
    method: 'GET',
    path: '/api/tokens/{id}/usage',
    access: 'read',
    summary: 'What went through a token: bytes of payload, rates, its quota, and what its policy refused',
    segment: publicId,
    query: noQuery,
    answer: { status: 200, schema: usageSchema },
    failures: [404],
    handle: ({ segment }) => answerOf(context.admin.tokenUsage(segment)),
  }
}

export function resetUsageRoute(context: RouteContext): Route {
  return {
    method: 'POST',
    path: '/api/tokens/{id}/usage/reset',
    access: 'full',
    summary: 'Begins to count what goes through a token anew, its quota included',
    segment: publicId,
    query: noQuery,
    answer: { status: 200, schema: usageSchema },
    failures: [404, 507, 503],
    handle: (exchange) => resetUsage(context, exchange),
  }
}

async function resetUsage({ admin, audit }: RouteContext, exchange: Exchange): Promise<Answer> {
  const usage = await admin.resetUsage(exchange.segment)
  audit('token.usage.reset', exchange, { token: exchange.segment })
  return answerOf(usage)
}

function answerOf(usage: TokenUsageInfo | undefined): Answer {
  return usage === undefined ? new Refusal(404, 'token not found') : json(usageView(usage))
}

/** Each field is named, so that a field that is added inside is never shown by accident. */
function usageView(usage: TokenUsageInfo): v.InferOutput<typeof usageSchema> {
  return {
    token_id: usage.id,
    since: formatTime(usage.since),
    total: usage.total,
    month: usage.month,
    day: usage.day,
    rate: usage.rate,
    throttled: usage.throttled,
    dropped_datagrams: usage.droppedDatagrams,
    refusals: usage.refusals,
    quota: quotaView(usage.quota),
  }
}

export function quotaView(state: QuotaState | undefined): v.InferOutput<typeof quotaStateSchema> {
  if (state === undefined) return null
  const { quota, used, usedUp, resetsAt } = state
  const { bytes, period, direction } = quota
  return {
    bytes,
    period,
    direction,
    used,
    used_up: usedUp,
    resets_at: resetsAt === undefined ? null : formatTime(resetsAt),
  }
}
