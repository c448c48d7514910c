/** What the HTTP API takes and gives, as on the wire (snake_case). Each message is the error text the caller reads. */
import * as v from 'valibot'

import { MAX_STR8_BYTES } from '../protocol/limits.js'
import { credential, documentedPlain, label, newPair, PAIR_ERROR, PLAIN_TEXT, port } from './fields.js'
import { futureTime } from './resources.js'

const tokenError = (field: string) => `${field} must be a string of 1 to 255 bytes of UTF-8 without control characters`
const FLAG_ERROR = 'allow_manage_connector must be true or false'

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

const REVERSE_TOKEN_MISSING = 'reverse_token is required for connector token'
const TOKEN_MISSING = 'token not specified'

/** What every type takes; optional fields may be null here. */
const common = { token: newToken, label: v.nullish(label), expires_at: v.nullish(futureTime) }

const forwardToken = v.object({ type: v.literal('forward'), ...common })

const reverseToken = v.pipe(
  v.object({
    type: v.literal('reverse'),
    ...common,
    port: v.nullish(port),
    username: v.nullish(credential('username')),
    password: v.nullish(credential('password')),
    allow_manage_connector: v.nullish(v.boolean(FLAG_ERROR)),
  }),
  v.check(({ username, password }) => (username == null) === (password == null), PAIR_ERROR),
  v.metadata(newPair),
)

const connectorToken = v.object(
  { type: v.literal('connector'), ...common, reverse_token: namedToken('reverse_token', REVERSE_TOKEN_MISSING) },
  REVERSE_TOKEN_MISSING,
)

/** Body of `POST /api/token`. Fields another type owns are ignored like unknown ones. */
export const addTokenSchema = v.variant('type', [forwardToken, reverseToken, connectorToken], 'invalid token type')
export type AddTokenBody = v.InferOutput<typeof addTokenSchema>

/** Body of `DELETE /api/token`; also judges the token of `DELETE /api/token/{token}`. */
export const removeTokenSchema = v.object({ token: namedToken('token', TOKEN_MISSING) }, TOKEN_MISSING)

/** Answer of `POST /api/token`. */
export const addedTokenSchema = v.object({
  success: v.literal(true),
  token: v.string(),
  /** The SOCKS port of a reverse token that has one. */
  port: v.optional(port),
})

/** Answer of both ways to remove a token by its text. */
export const removedTokenSchema = v.object({ success: v.literal(true), token: v.string() })

/** Answer of every call that failed. */
export const failureAnswerSchema = v.object({ success: v.literal(false), error: v.string() })
export type FailureAnswer = v.InferOutput<typeof failureAnswerSchema>

const count = v.pipe(v.number(), v.integer(), v.minValue(0))

const forwardStatus = v.object({ token: v.string(), type: v.literal('forward'), clients_count: count })

const reverseStatus = v.object({
  token: v.string(),
  type: v.literal('reverse'),
  /** Authenticated living links of this token itself. */
  clients_count: count,
  /** Absent on autonomy tokens, as are `listening` and `error`. */
  port: v.optional(port),
  connector_tokens: v.array(v.string()),
  listening: v.optional(v.boolean()),
  /** Why the port is not open; it is tried again. */
  error: v.optional(v.string()),
})

const tokenStatus = v.variant('type', [forwardStatus, reverseStatus])
export type TokenStatusAnswer = v.InferOutput<typeof tokenStatus>

/** Answer of `GET /api/status`. Fields may be added, none is renamed. */
export const statusAnswerSchema = v.object({ version: v.string(), tokens: v.array(tokenStatus) })
