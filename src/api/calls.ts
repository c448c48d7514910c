/** The calls of the HTTP API, each from a judged request to its answer. */
import * as v from 'valibot'

import type { Logger } from '../log.js'
import type { Crypto } from '../ports.js'
import type { TokenAdmin, TokenSpec, TokenStatus } from '../relay/admin.js'
import { type Answer, json, Refusal } from './answers.js'
import { type JsonObject, readJsonObject } from './body.js'
import { decodeSegment } from './path.js'
import { type AddTokenBody, addTokenSchema, removeTokenSchema, type TokenStatusAnswer } from './schemas.js'

export interface CallOptions {
  readonly admin: TokenAdmin
  readonly version: string
  readonly crypto: Crypto
  readonly log: Logger
}

/** One method of one path. */
export type Call = (request: Request) => Promise<Answer> | Answer

/** `GET /api/status` */
export function status({ admin, version }: CallOptions): Call {
  return () => json({ version, tokens: admin.tokens().map(statusAnswer) })
}

/** `POST /api/token` */
export function addToken({ admin, crypto, log }: CallOptions): Call {
  return async (request) => {
    const body = await readJsonObject(request)
    if (body === undefined) return new Refusal(400, 'invalid request body')
    if (body instanceof Refusal) return body
    const parsed = parse(addTokenSchema, body)
    if (parsed instanceof Refusal) return parsed
    const { token, port } = await admin.addToken(tokenSpec(parsed))
    log.info('api.token.added', { type: parsed.type, token: shortHash(token, crypto), port })
    return json({ success: true, token, ...(port !== undefined && { port }) })
  }
}

/** `DELETE /api/token`: the token is in the body. */
export function removeNamedToken(options: CallOptions): Call {
  return async (request) => {
    const body = await readJsonObject(request)
    return body instanceof Refusal ? body : removeToken(options, body ?? {})
  }
}

/** `DELETE /api/token/{token}`: the path names the token, a body is not looked at. */
export function removeTokenInPath(options: CallOptions, segment: string): Call {
  return () => {
    const token = decodeSegment(segment)
    return token === undefined
      ? new Refusal(400, 'token is not valid percent-encoded UTF-8')
      : removeToken(options, { token })
  }
}

async function removeToken({ admin, crypto, log }: CallOptions, body: JsonObject): Promise<Answer> {
  const parsed = parse(removeTokenSchema, body)
  if (parsed instanceof Refusal) return parsed
  await admin.removeToken(parsed.token)
  log.info('api.token.removed', { token: shortHash(parsed.token, crypto) })
  return json({ success: true, token: parsed.token })
}

/** The first fault is the answer. */
function parse<Schema extends v.GenericSchema>(schema: Schema, body: JsonObject): v.InferOutput<Schema> | Refusal {
  const result = v.safeParse(schema, body, { abortEarly: true, abortPipeEarly: true })
  return result.success ? result.output : new Refusal(400, result.issues[0].message)
}

function tokenSpec(body: AddTokenBody): TokenSpec {
  const token = body.token || undefined
  switch (body.type) {
    case 'forward':
      return { type: 'forward', token }
    case 'connector':
      return { type: 'connector', token, reverseToken: body.reverse_token }
    case 'reverse':
      return {
        type: 'reverse',
        token,
        port: body.port ?? undefined,
        username: body.username ?? undefined,
        password: body.password ?? undefined,
        allowManageConnector: body.allow_manage_connector ?? undefined,
      }
  }
}

/** Names each field, so that what a token status gains inside never reaches the wire by accident. */
function statusAnswer(token: TokenStatus): TokenStatusAnswer {
  const common = { token: token.token, clients_count: token.clientsCount }
  if (token.type === 'forward') return { ...common, type: 'forward' }
  return {
    ...common,
    type: 'reverse',
    ...(token.port !== undefined && { port: token.port }),
    connector_tokens: [...token.connectorTokens],
    ...(token.listening !== undefined && { listening: token.listening }),
    ...(token.error !== undefined && { error: token.error }),
  }
}

/** What a log line may show of a token: the first 4 bytes of its SHA-256. */
function shortHash(token: string, crypto: Crypto): string {
  const hash = crypto.sha256(new TextEncoder().encode(token)).subarray(0, 4)
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
