/** Tokens by their public id. */
import type { RelayAdmin } from '../relay/admin.js'
import type { TokenChange } from '../relay/tokens/token-spec.js'
import { type Answer, json, noContent, Refusal } from './answers.js'
import type { Audit } from './audit.js'
import { pageAnswer, pageQueryOf } from './paging.js'
import { parseBody } from './parse.js'
import {
  type ChangeTokenBody,
  changeTokenSchema,
  noQuery,
  pageQuery,
  publicId,
  tokenSchema,
  tokensSchema,
} from './resources.js'
import type { Exchange, Route } from './route.js'
import { parseTime } from './timestamp.js'
import { showerFor, tokenView } from './views.js'

export interface TokenRouteOptions {
  readonly admin: RelayAdmin
  readonly audit: Audit
}

export function tokenRoutes(options: TokenRouteOptions): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/tokens',
      access: 'read',
      summary: 'Tokens, in the order in which they were added',
      query: pageQuery,
      answer: { status: 200, schema: tokensSchema },
      handle: (exchange) => list(options, exchange),
    },
    {
      method: 'GET',
      path: '/api/tokens/{id}',
      access: 'read',
      summary: 'One token',
      segment: publicId,
      query: noQuery,
      answer: { status: 200, schema: tokenSchema },
      failures: [404],
      handle: (exchange) => one(options, exchange),
    },
    {
      method: 'PATCH',
      path: '/api/tokens/{id}',
      access: 'full',
      summary: 'Changes label, credentials, switch or end of a token; null clears',
      segment: publicId,
      query: noQuery,
      body: changeTokenSchema,
      answer: { status: 200, schema: tokenSchema },
      failures: [404, 507, 503],
      handle: (exchange) => change(options, exchange),
    },
    {
      method: 'DELETE',
      path: '/api/tokens/{id}',
      access: 'full',
      summary: 'Removes a token and disconnects its clients',
      segment: publicId,
      query: noQuery,
      answer: { status: 204 },
      failures: [404, 507, 503],
      handle: (exchange) => remove(options, exchange),
    },
  ]
}

function list({ admin }: TokenRouteOptions, { query, key }: Exchange): Answer {
  const show = showerFor(key)
  return json(pageAnswer('tokens', admin.tokenPage(pageQueryOf(query)), (info) => tokenView(info, show)))
}

function one({ admin }: TokenRouteOptions, { segment, key }: Exchange): Answer {
  const info = admin.tokenInfo(segment)
  return info === undefined ? new Refusal(404, 'token not found') : json(tokenView(info, showerFor(key)))
}

async function change({ admin, audit }: TokenRouteOptions, exchange: Exchange): Promise<Answer> {
  const body = await parseBody(changeTokenSchema, exchange.request, { required: true })
  if (body instanceof Refusal) return body
  if (Object.keys(body).length === 0) return one({ admin, audit }, exchange)
  const info = await admin.changeToken(exchange.segment, changeOf(body))
  audit('token.change', exchange, { token: info.id, fields: Object.keys(body).join(',') })
  return json(tokenView(info, showerFor(exchange.key)))
}

function changeOf({ expires_at: end, ...rest }: ChangeTokenBody): TokenChange {
  return { ...rest, expiresAt: typeof end === 'string' ? parseTime(end) : end }
}

async function remove({ admin, audit }: TokenRouteOptions, exchange: Exchange): Promise<Answer> {
  await admin.removeTokenById(exchange.segment)
  audit('token.remove', exchange, { token: exchange.segment })
  return noContent()
}
