/** Tokens by their text: adding and removing, as documented for deployed programs. */
import * as v from 'valibot'
import { MAX_STR8_BYTES } from '../protocol/limits.js'
import { PLAIN_TEXT } from '../protocol/text.js'
import type { TokenSpec } from '../relay/tokens/token-spec.js'
import { accessRules, foldName, foldRules, rulesOf } from './access.js'
import {
  credential,
  documentedPlain,
  futureTime,
  label,
  newPair,
  noProxyProtocols,
  PAIR_ERROR,
  port,
} from './fields.js'
import { type Answer, json, Refusal } from './request/answers.js'
import { type JsonObject, MAX_TOKEN_BODY_BYTES } from './request/body.js'
import { parse, parseBody } from './request/parse.js'
import { decodeSegment } from './request/path.js'
import type { Exchange, Route, RouteContext } from './route.js'
import { parseTime } from './timestamp.js'
import { policyOf, policySchema, policyText } from './token-policy.js'

const tokenError = (field: string) => `${field} must be a string of 1 to 255 bytes of UTF-8 without control characters`
const FLAG_ERROR = 'allow_manage_connector must be true or false'
const REVERSE_TOKEN_MISSING = 'reverse_token is required for connector token'
const TOKEN_MISSING = 'token not specified'

/** A token to be made: absent, null or empty asks for a generated one. */
const newToken = v.nullish(
  v.pipe(
    v.string(tokenError('token')),
    v.regex(PLAIN_TEXT, tokenError('token')),
    v.maxBytes(MAX_STR8_BYTES, tokenError('token')),
    v.metadata(documentedPlain(MAX_STR8_BYTES)),
  ),
)

/** A token that must be named; `missing` is the error text when it is null or empty, and of the object when it is absent. */
const namedToken = (field: string, missing: string) =>
  v.pipe(
    v.string(({ input }) => (input === null ? missing : tokenError(field))),
    v.minLength(1, missing),
    v.regex(PLAIN_TEXT, tokenError(field)),
    v.maxBytes(MAX_STR8_BYTES, tokenError(field)),
    v.metadata(documentedPlain(MAX_STR8_BYTES)),
  )

/** What every type takes; optional fields may be null here. */
const commonFields = {
  token: newToken,
  label: v.nullish(label),
  expires_at: v.nullish(futureTime),
  rules: v.nullish(accessRules),
  proxy_protocols: v.nullish(noProxyProtocols),
  policy: v.nullish(policySchema),
}

/** Fields of another type are ignored like unknown ones. */
const addTokenSchema = v.variant(
  'type',
  [
    v.object({ type: v.literal('forward'), ...commonFields }),
    v.pipe(
      v.object({
        type: v.literal('reverse'),
        ...commonFields,
        port: v.nullish(port),
        username: v.nullish(credential('username')),
        password: v.nullish(credential('password')),
        allow_manage_connector: v.nullish(v.boolean(FLAG_ERROR)),
      }),
      v.check(({ username, password }) => (username == null) === (password == null), PAIR_ERROR),
      v.metadata(newPair),
    ),
    v.object(
      {
        type: v.literal('connector'),
        ...commonFields,
        reverse_token: namedToken('reverse_token', REVERSE_TOKEN_MISSING),
      },
      REVERSE_TOKEN_MISSING,
    ),
  ],
  'invalid token type',
)

export const addedTokenSchema = v.object({
  success: v.literal(true),
  token: v.string(),
  /** The proxy port of a reverse token that has one. */
  port: v.optional(port),
})

export function addTokenRoute(context: RouteContext): Route {
  return {
    method: 'POST',
    path: '/api/token',
    access: 'full',
    summary: 'Adds a token: forward, reverse or connector',
    body: addTokenSchema,
    maxBodyBytes: MAX_TOKEN_BODY_BYTES,
    answer: { status: 200, schema: addedTokenSchema, headers: { Location: 'where the token is found by its id' } },
    failures: [404, 409, 507, 503],
    handle: (exchange) => addToken(context, exchange),
  }
}

/** Of the token in the body, and of the one in the path. */
const removeTokenSchema = v.object({ token: namedToken('token', TOKEN_MISSING) }, TOKEN_MISSING)
const removedTokenSchema = v.object({ success: v.literal(true), token: v.string() })

export function removeTokenInBodyRoute(context: RouteContext): Route {
  return {
    method: 'DELETE',
    path: '/api/token',
    access: 'full',
    summary: 'Removes the token in the body',
    body: removeTokenSchema,
    answer: { status: 200, schema: removedTokenSchema },
    failures: [404, 507, 503],
    handle: (exchange) => removeTokenInBody(context, exchange),
  }
}

export function removeTokenInPathRoute(context: RouteContext): Route {
  return {
    method: 'DELETE',
    path: '/api/token/{token}',
    access: 'full',
    summary: 'Removes the token in the path, where it is percent-encoded',
    segment: removeTokenSchema.entries.token,
    answer: { status: 200, schema: removedTokenSchema },
    failures: [400, 404, 507, 503],
    handle: (exchange) => removeTokenInPath(context, exchange),
  }
}

async function addToken({ admin, audit }: RouteContext, exchange: Exchange): Promise<Answer> {
  const options = { required: true, maxBytes: MAX_TOKEN_BODY_BYTES, fold: foldTokenLimits }
  const body = await parseBody(addTokenSchema, exchange.request, options)
  if (body instanceof Refusal) return body
  const { id, token, port } = await admin.addToken(tokenSpec(body))
  const limits = { rules: body.rules?.length, policy: policyText(body.policy ?? undefined) }
  audit('token.add', exchange, { type: body.type, token: id, port, ...limits })
  return json(
    { success: true, token, ...(port !== undefined && { port }) },
    { headers: { location: `/api/tokens/${id}` } },
  )
}

/** Limits under another spelling of their name would be none, and the token without a limit. */
const foldTokenLimits = (body: JsonObject): JsonObject =>
  foldRules('rules')(foldName(foldName(body, 'rules'), 'policy'))

function tokenSpec(body: v.InferOutput<typeof addTokenSchema>): TokenSpec {
  const common = {
    token: body.token || undefined,
    label: body.label ?? undefined,
    expiresAt: body.expires_at == null ? undefined : parseTime(body.expires_at),
    rules: rulesOf(body.rules),
    policy: policyOf(body.policy),
  }
  switch (body.type) {
    case 'forward':
      return { ...common, type: 'forward' }
    case 'connector':
      return { ...common, type: 'connector', reverseToken: body.reverse_token }
    case 'reverse':
      return {
        ...common,
        type: 'reverse',
        port: body.port ?? undefined,
        username: body.username ?? undefined,
        password: body.password ?? undefined,
        allowManageConnector: body.allow_manage_connector ?? undefined,
      }
  }
}

async function removeTokenInBody(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const body = await parseBody(removeTokenSchema, exchange.request, { required: false })
  return body instanceof Refusal ? body : removeToken(context, exchange, body.token)
}

function removeTokenInPath(context: RouteContext, exchange: Exchange): Promise<Answer> | Answer {
  const token = decodeSegment(exchange.segment)
  if (token === undefined) return new Refusal(400, 'token is not valid percent-encoded UTF-8')
  const parsed = parse(removeTokenSchema, { token })
  return parsed instanceof Refusal ? parsed : removeToken(context, exchange, parsed.token)
}

async function removeToken({ admin, audit }: RouteContext, exchange: Exchange, token: string): Promise<Answer> {
  const id = admin.tokenId(token)
  await admin.removeToken(token)
  audit('token.remove', exchange, { token: id })
  return json({ success: true, token })
}
