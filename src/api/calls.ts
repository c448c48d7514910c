/** The documented calls: status, and adding and removing tokens by their text. */
import type { RelayAdmin } from '../relay/admin.js'
import type { TokenSpec } from '../relay/tokens/token-spec.js'
import { type Answer, json, Refusal } from './answers.js'
import type { Audit } from './audit.js'
import { parse, parseBody } from './parse.js'
import { decodeSegment } from './path.js'
import type { Exchange, Route } from './route.js'
import {
  type AddTokenBody,
  addedTokenSchema,
  addTokenSchema,
  removedTokenSchema,
  removeTokenSchema,
  statusAnswerSchema,
} from './schemas.js'
import { parseTime } from './timestamp.js'
import { showerFor, statusView } from './views.js'

export interface CallOptions {
  readonly admin: RelayAdmin
  readonly version: string
  readonly audit: Audit
}

export function documentedRoutes(options: CallOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/status',
      access: 'read',
      summary: 'Version, tokens, and how many clients each has',
      answer: { status: 200, schema: statusAnswerSchema },
      handle: ({ key }) => status(options, showerFor(key)),
    },
    {
      method: 'POST',
      path: '/api/token',
      access: 'full',
      summary: 'Adds a token: forward, reverse or connector',
      body: addTokenSchema,
      answer: { status: 200, schema: addedTokenSchema, headers: { Location: 'where the token is found by its id' } },
      failures: [404, 409, 507, 503],
      handle: (exchange) => addToken(options, exchange),
    },
    {
      method: 'DELETE',
      path: '/api/token',
      access: 'full',
      summary: 'Removes the token in the body',
      body: removeTokenSchema,
      answer: { status: 200, schema: removedTokenSchema },
      failures: [404, 507, 503],
      handle: (exchange) => removeNamedToken(options, exchange),
    },
    {
      method: 'DELETE',
      path: '/api/token/{token}',
      access: 'full',
      summary: 'Removes the token in the path, where it is percent-encoded',
      segment: removeTokenSchema.entries.token,
      answer: { status: 200, schema: removedTokenSchema },
      failures: [400, 404, 507, 503],
      handle: (exchange) => removeTokenInPath(options, exchange),
    },
  ]
}

function status({ admin, version }: CallOptions, show: (token: string) => string): Answer {
  return json({ version, tokens: admin.tokens().map((token) => statusView(token, show)) })
}

async function addToken({ admin, audit }: CallOptions, exchange: Exchange): Promise<Answer> {
  const body = await parseBody(addTokenSchema, exchange.request, { required: true })
  if (body instanceof Refusal) return body
  const { id, token, port } = await admin.addToken(tokenSpec(body))
  audit('token.add', exchange, { type: body.type, token: id, port })
  return json(
    { success: true, token, ...(port !== undefined && { port }) },
    { headers: { location: `/api/tokens/${id}` } },
  )
}

async function removeNamedToken(options: CallOptions, exchange: Exchange): Promise<Answer> {
  const body = await parseBody(removeTokenSchema, exchange.request, { required: false })
  return body instanceof Refusal ? body : removeToken(options, exchange, body.token)
}

function removeTokenInPath(options: CallOptions, exchange: Exchange): Promise<Answer> | Answer {
  const token = decodeSegment(exchange.segment)
  if (token === undefined) return new Refusal(400, 'token is not valid percent-encoded UTF-8')
  const parsed = parse(removeTokenSchema, { token })
  return parsed instanceof Refusal ? parsed : removeToken(options, exchange, parsed.token)
}

async function removeToken({ admin, audit }: CallOptions, exchange: Exchange, token: string): Promise<Answer> {
  const id = admin.tokenId(token)
  await admin.removeToken(token)
  audit('token.remove', exchange, { token: id })
  return json({ success: true, token })
}

function tokenSpec(body: AddTokenBody): TokenSpec {
  const common = {
    token: body.token || undefined,
    label: body.label ?? undefined,
    expiresAt: body.expires_at == null ? undefined : parseTime(body.expires_at),
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
