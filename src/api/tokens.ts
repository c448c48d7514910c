/** Tokens by their public id. */
import * as v from 'valibot'
import type { TokenChange, TokenInfo } from '../relay/tokens/token-spec.js'
import { rulesView, shownRules } from './access.js'
import {
  changedPair,
  count,
  credential,
  futureTime,
  label,
  noProxyProtocols,
  noQuery,
  PAIR_ERROR,
  port,
  proxyProtocol,
  publicId,
  time,
} from './fields.js'
import { type ShowToken, showTokenTo } from './mask.js'
import { pageAnswer, pageFields, pageQuery, pageQueryOf } from './paging.js'
import { type Answer, json, noContent, Refusal } from './request/answers.js'
import { MAX_TOKEN_BODY_BYTES } from './request/body.js'
import { parseBody } from './request/parse.js'
import type { Exchange, Route, RouteContext } from './route.js'
import { formatTime, parseTime } from './timestamp.js'
import { policyChangeOf, policySchema, policyText, policyView } from './token-policy.js'
import { quotaStateSchema, quotaView } from './token-usage.js'

const commonFields = {
  id: publicId,
  /** In full, or its beginning and an ellipsis. */
  token: v.string(),
  label: v.nullable(v.string()),
  enabled: v.boolean(),
  expires_at: v.nullable(time),
  state: v.picklist(['active', 'disabled', 'expired']),
  source: v.picklist(['api', 'command-line', 'provider']),
  stored: v.boolean(),
  created_at: time,
  clients: count,
  streams: count,
  /** None: no limit. */
  rules_count: count,
  has_policy: v.boolean(),
  /** Rules about destinations in it. */
  policy_rules_count: count,
  quota: quotaStateSchema,
}

const forwardFields = { ...commonFields, type: v.literal('forward') }
const reverseFields = {
  ...commonFields,
  type: v.literal('reverse'),
  allow_manage_connector: v.boolean(),
  port: v.nullable(port),
  /** What the port serves; none where there is none. */
  proxy_protocols: v.array(proxyProtocol),
  listening: v.boolean(),
  port_error: v.nullable(v.string()),
  username: v.nullable(v.string()),
  connectors: v.array(publicId),
}
const connectorFields = { ...commonFields, type: v.literal('connector'), reverse_id: publicId }

const listedSchema = v.variant('type', [v.object(forwardFields), v.object(reverseFields), v.object(connectorFields)])

/** Rules may be many: lists leave them out. */
const more = { rules: shownRules, policy: v.nullable(policySchema) }
const tokenSchema = v.variant('type', [
  v.object({ ...forwardFields, ...more }),
  v.object({ ...reverseFields, ...more }),
  v.object({ ...connectorFields, ...more }),
])

const tokensSchema = v.object({ tokens: v.array(listedSchema), ...pageFields })

export function listTokensRoute({ admin }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/api/tokens',
    access: 'read',
    summary: 'Tokens, in the order in which they were added',
    query: pageQuery,
    answer: { status: 200, schema: tokensSchema },
    handle: ({ query, key }) => {
      const show = showTokenTo(key)
      return json(pageAnswer('tokens', admin.tokenPage(pageQueryOf(query)), (info) => listedView(info, show)))
    },
  }
}

export function tokenRoute(context: RouteContext): Route {
  return {
    method: 'GET',
    path: '/api/tokens/{id}',
    access: 'read',
    summary: 'One token',
    segment: publicId,
    query: noQuery,
    answer: { status: 200, schema: tokenSchema },
    failures: [404],
    handle: (exchange) => oneToken(context, exchange),
  }
}

const ENABLED_ERROR = 'enabled must be true or false'

/** Names the first field that is not known. */
const unknownField = (issue: v.StrictObjectIssue): string =>
  issue.expected === 'never' ? `unknown field: ${issue.path?.[0]?.key ?? ''}` : 'invalid request body'

/** An absent field stays as it is, `null` clears it. */
const changeTokenSchema = v.pipe(
  v.strictObject(
    {
      label: v.optional(v.nullable(label)),
      enabled: v.optional(v.boolean(ENABLED_ERROR)),
      expires_at: v.optional(v.nullable(futureTime)),
      username: v.optional(v.nullable(credential('username'))),
      password: v.optional(v.nullable(credential('password'))),
      proxy_protocols: v.optional(noProxyProtocols),
      policy: v.optional(v.nullable(policySchema)),
    },
    unknownField,
  ),
  v.check(
    ({ username, password }) =>
      (username === undefined) === (password === undefined) && (username === null) === (password === null),
    PAIR_ERROR,
  ),
  v.metadata(changedPair),
)

export function changeTokenRoute(context: RouteContext): Route {
  return {
    method: 'PATCH',
    path: '/api/tokens/{id}',
    access: 'full',
    summary: 'Changes label, credentials, switch, end or policy of a token; null clears',
    segment: publicId,
    query: noQuery,
    body: changeTokenSchema,
    maxBodyBytes: MAX_TOKEN_BODY_BYTES,
    answer: { status: 200, schema: tokenSchema },
    failures: [404, 507, 503],
    handle: (exchange) => changeToken(context, exchange),
  }
}

export function removeTokenRoute({ admin, audit }: RouteContext): Route {
  return {
    method: 'DELETE',
    path: '/api/tokens/{id}',
    access: 'full',
    summary: 'Removes a token and disconnects its clients',
    segment: publicId,
    query: noQuery,
    answer: { status: 204 },
    failures: [404, 507, 503],
    handle: async (exchange) => {
      await admin.removeTokenById(exchange.segment)
      audit('token.remove', exchange, { token: exchange.segment })
      return noContent()
    },
  }
}

function oneToken({ admin }: RouteContext, { segment, key }: Exchange): Answer {
  const info = admin.tokenInfo(segment)
  return info === undefined ? new Refusal(404, 'token not found') : json(tokenView(info, showTokenTo(key)))
}

async function changeToken(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const body = await parseBody(changeTokenSchema, exchange.request, { required: true, maxBytes: MAX_TOKEN_BODY_BYTES })
  if (body instanceof Refusal) return body
  if (Object.keys(body).length === 0) return oneToken(context, exchange)
  const info = await context.admin.changeToken(exchange.segment, tokenChange(body))
  const fields = Object.keys(body).join(',')
  context.audit('token.change', exchange, { token: info.id, fields, policy: policyText(body.policy) })
  return json(tokenView(info, showTokenTo(exchange.key)))
}

function tokenChange({ expires_at: end, policy, ...rest }: v.InferOutput<typeof changeTokenSchema>): TokenChange {
  const change = { ...rest, expiresAt: typeof end === 'string' ? parseTime(end) : end }
  return policy === undefined ? change : { ...change, policy: policy && policyChangeOf(policy) }
}

function tokenView(info: TokenInfo, show: ShowToken): v.InferOutput<typeof tokenSchema> {
  return { ...listedView(info, show), rules: rulesView(info.rules), policy: policyView(info.policy) }
}

/** Each field is named, so that a field that is added inside is never shown by accident. */
function listedView(info: TokenInfo, show: ShowToken): v.InferOutput<typeof listedSchema> {
  const { id } = info
  const common = {
    token: show(info.token),
    label: info.label ?? null,
    enabled: info.enabled,
    expires_at: info.expiresAt === undefined ? null : formatTime(info.expiresAt),
    state: info.state,
    source: info.source,
    stored: info.stored,
    created_at: formatTime(info.createdAt),
    clients: info.clients,
    streams: info.streams,
    rules_count: info.rules.length,
    has_policy: info.policy !== undefined,
    policy_rules_count: info.policy?.egress?.length ?? 0,
    quota: quotaView(info.quota),
  }
  const { reverse } = info
  if (reverse !== undefined) {
    return {
      id,
      type: 'reverse',
      ...common,
      allow_manage_connector: reverse.autonomy,
      port: reverse.port ?? null,
      proxy_protocols: [...reverse.proxyProtocols],
      listening: reverse.listening,
      port_error: reverse.portError ?? null,
      username: reverse.username ?? null,
      connectors: [...reverse.connectors],
    }
  }
  const { reverseId } = info
  return reverseId === undefined
    ? { id, type: 'forward', ...common }
    : { id, type: 'connector', ...common, reverse_id: reverseId }
}
