/** What the calls by id take and give, as on the wire (snake_case). Each message is the error text the caller reads. */
import * as v from 'valibot'

import { changedPair, credential, label, PAIR_ERROR, port } from './fields.js'
import { parseTime } from './timestamp.js'

const EXPIRY_ERROR = 'expires_at must be a time in UTC such as 2030-01-31T12:00:00Z'
const ENABLED_ERROR = 'enabled must be true or false'

/** Names the first field that is not known. */
const unknownField = (issue: v.StrictObjectIssue): string =>
  issue.expected === 'never' ? `unknown field: ${issue.path?.[0]?.key ?? ''}` : 'invalid request body'

/** For the document: RFC 3339 in UTC. */
const documentedTime = (fraction: string, description: string) => ({
  format: 'date-time',
  pattern: `^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]${fraction}Z$`,
  description,
})

/** Becomes Unix milliseconds. */
export const futureTime = v.pipe(
  v.string(EXPIRY_ERROR),
  v.check((text) => parseTime(text) !== undefined, EXPIRY_ERROR),
  v.metadata(documentedTime('([.][0-9]{1,9})?', 'In UTC, and in the future')),
)

/** Body of `PATCH /api/tokens/{id}`: absent leaves, `null` clears. */
export const changeTokenSchema = v.pipe(
  v.strictObject(
    {
      label: v.optional(v.nullable(label)),
      enabled: v.optional(v.boolean(ENABLED_ERROR)),
      expires_at: v.optional(v.nullable(futureTime)),
      username: v.optional(v.nullable(credential('username'))),
      password: v.optional(v.nullable(credential('password'))),
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

export type ChangeTokenBody = v.InferOutput<typeof changeTokenSchema>

const LIMIT_ERROR = 'limit must be an integer from 1 to 1000'
const AFTER_ERROR = 'after must be what next of the page before was'
/** Entries of one page. */
const MAX_PAGE = 1_000
export const DEFAULT_PAGE = 100

const unknownParameter = (issue: v.StrictObjectIssue): string =>
  issue.expected === 'never' ? `unknown parameter: ${issue.path?.[0]?.key ?? ''}` : 'invalid query'

const digits = (error: string, longest: number) =>
  v.pipe(v.string(error), v.regex(new RegExp(`^[0-9]{1,${longest}}$`), error))

const pageParameters = {
  limit: v.optional(
    v.pipe(
      digits(LIMIT_ERROR, 4),
      v.check((text) => Number(text) >= 1 && Number(text) <= MAX_PAGE, LIMIT_ERROR),
      v.metadata({ type: 'integer', pattern: undefined, minimum: 1, maximum: MAX_PAGE, default: DEFAULT_PAGE }),
    ),
  ),
  after: v.optional(digits(AFTER_ERROR, 15)),
}

const idOf = (name: string) => {
  const error = `${name} must be an id of 24 hex digits`
  return v.pipe(v.string(error), v.regex(/^[0-9a-f]{24}$/, error))
}
export const publicId = idOf('id')

export const pageQuery = v.strictObject(pageParameters, unknownParameter)
export const streamsQuery = v.strictObject(
  {
    ...pageParameters,
    token: v.optional(idOf('token')),
    client: v.optional(idOf('client')),
    order: v.optional(v.picklist(['oldest', 'newest'], 'order must be oldest or newest')),
  },
  unknownParameter,
)
export type StreamsQuery = v.InferOutput<typeof streamsQuery>
export const noQuery = v.strictObject({}, unknownParameter)

export const EVENT_GROUPS = ['token', 'client', 'stream', 'alarm', 'stats'] as const
const TYPES_ERROR = `types must be some of ${EVENT_GROUPS.join(',')}`
export const eventsQuery = v.strictObject(
  {
    types: v.optional(
      v.pipe(
        v.string(),
        v.regex(/^(?:token|client|stream|alarm|stats)(?:,(?:token|client|stream|alarm|stats))*$/, TYPES_ERROR),
      ),
    ),
  },
  unknownParameter,
)

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const time = v.pipe(v.string(), v.metadata(documentedTime('[.][0-9]{3}', 'In UTC')))

const commonToken = {
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
}

export const tokenSchema = v.variant('type', [
  v.object({ ...commonToken, type: v.literal('forward') }),
  v.object({
    ...commonToken,
    type: v.literal('reverse'),
    allow_manage_connector: v.boolean(),
    port: v.nullable(port),
    listening: v.boolean(),
    port_error: v.nullable(v.string()),
    username: v.nullable(v.string()),
    connectors: v.array(publicId),
  }),
  v.object({ ...commonToken, type: v.literal('connector'), reverse_id: publicId }),
])
export type TokenAnswer = v.InferOutput<typeof tokenSchema>

export const clientSchema = v.object({
  id: publicId,
  role: v.picklist(['forward', 'provider', 'connector']),
  token_id: publicId,
  address: v.string(),
  since: time,
  state: v.picklist(['connected', 'suspended']),
  rtt_ms: v.nullable(v.pipe(v.number(), v.minValue(0))),
  streams: count,
  received_bytes: count,
  sent_bytes: count,
})

export type ClientAnswer = v.InferOutput<typeof clientSchema>

export const streamSchema = v.object({
  id: v.pipe(v.string(), v.regex(/^[1-9][0-9]*$/)),
  mode: v.picklist(['forward', 'reverse', 'agent']),
  protocol: v.picklist(['tcp', 'udp']),
  target: v.nullable(v.string()),
  token_id: publicId,
  client_id: v.nullable(publicId),
  provider_id: v.nullable(publicId),
  state: v.picklist(['opening', 'open']),
  since: time,
  sent_bytes: count,
  received_bytes: count,
})

export type StreamAnswer = v.InferOutput<typeof streamSchema>

export const alarmSchema = v.object({
  code: v.picklist(['port-unavailable', 'not-stored', 'authentication-failures', 'event-loop-delay']),
  subject: v.nullable(v.string()),
  message: v.string(),
  since: time,
})

export type AlarmAnswer = v.InferOutput<typeof alarmSchema>

const page = { next: v.nullable(v.string()), total: count }
export const tokensSchema = v.object({ tokens: v.array(tokenSchema), ...page })
export const clientsSchema = v.object({ clients: v.array(clientSchema), ...page })
export const streamsSchema = v.object({ streams: v.array(streamSchema), ...page })

const totals = { tokens: count, clients: count, streams: count, received_bytes: count, sent_bytes: count }
export const serverSchema = v.object({
  version: v.string(),
  started_at: time,
  key: v.object({ name: v.string(), role: v.picklist(['full', 'read-only']) }),
  durable: v.boolean(),
  draining: v.boolean(),
  ...totals,
  alarms: v.array(alarmSchema),
})

export const healthSchema = v.object({ status: v.literal('ok') })
export const unreadySchema = v.object({ status: v.literal('draining') })
