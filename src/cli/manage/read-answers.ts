/**
 * What a client of the HTTP API reads from its answers. Less strict than what the server writes: other versions answer
 * too, so that unknown fields are dropped and the newer ones may be missing.
 */
import * as v from 'valibot'

const count = v.pipe(v.number(), v.minValue(0))
const text = v.string()
const optionalText = v.nullish(text)
/** Largest token, as the server takes it. */
const token = v.pipe(text, v.minLength(1), v.maxBytes(255), v.regex(/^\P{Cc}*$/u))
/** Goes into the path of another call. */
const id = v.pipe(text, v.regex(/^[\w-]{1,64}$/))
const cursor = v.nullable(v.pipe(text, v.minLength(1), v.maxLength(1_024)))

/** `GET /api/server` */
const serverSchema = v.object({
  version: text,
  started_at: text,
  key: v.object({ name: text, role: text }),
  durable: v.boolean(),
  draining: v.boolean(),
  draining_processes: v.nullish(
    v.array(v.object({ pid: count, version: text, since: text, until: text, clients: count, streams: count })),
  ),
  tokens: count,
  clients: count,
  streams: count,
  received_bytes: count,
  sent_bytes: count,
  alarms: v.array(v.object({ code: text, subject: optionalText, message: text, since: text })),
})
export type ServerAnswer = v.InferOutput<typeof serverSchema>

/** What a quota of a token's policy has let pass. */
const quotaSchema = v.object({
  bytes: count,
  period: text,
  direction: optionalText,
  used: count,
  used_up: v.nullish(v.boolean()),
  resets_at: optionalText,
})
export type QuotaUse = v.InferOutput<typeof quotaSchema>

/** One of `GET /api/tokens`. */
const tokenSchema = v.object({
  id,
  type: text,
  token: text,
  label: optionalText,
  expires_at: optionalText,
  state: text,
  clients: count,
  port: v.nullish(count),
  port_error: optionalText,
  rules_count: v.nullish(count),
  has_policy: v.nullish(v.boolean()),
  quota: v.nullish(quotaSchema),
})
export type ListedToken = v.InferOutput<typeof tokenSchema>

const ports = v.nullish(v.array(v.union([count, v.tuple([count, count])])))
export type ShownPorts = v.InferOutput<typeof ports>

const rate = v.nullish(count)
const rates = { up: rate, down: rate, burst: rate, stream_up: rate, stream_down: rate }

/** Loose where a newer server may limit by fields of its own: they are shown. */
const policySchema = v.looseObject({
  egress: v.nullish(
    v.array(v.looseObject({ action: text, hosts: v.nullish(v.array(text)), ports, protocol: optionalText })),
  ),
  egress_default: optionalText,
  max_streams: v.nullish(count),
  max_clients: v.nullish(count),
  connects_per_minute: v.nullish(count),
  sources: v.nullish(v.array(text)),
  client_subjects: v.nullish(v.array(text)),
  rate: v.nullish(v.looseObject(rates)),
  quota: v.nullish(v.looseObject({ bytes: count, period: text, direction: optionalText })),
  hours: v.nullish(v.array(v.object({ days: v.nullish(v.array(text)), from: text, to: text, zone: optionalText }))),
})
export type ShownPolicy = v.InferOutput<typeof policySchema>

/** `GET /api/tokens/{id}`: `policy` is absent where the server knows none, `null` where the token has none. */
const shownTokenSchema = v.object({
  ...tokenSchema.entries,
  username: optionalText,
  reverse_id: v.nullish(id),
  rules: v.nullish(v.array(v.object({ addrs: v.nullish(v.array(text)), ports }))),
  policy: v.nullish(policySchema),
})
export type ShownToken = v.InferOutput<typeof shownTokenSchema>

/** One of `GET /api/clients`. */
const clientSchema = v.object({
  id,
  role: text,
  token_id: text,
  address: text,
  since: text,
  state: text,
  rtt_ms: v.nullish(v.number()),
  streams: count,
  received_bytes: count,
  sent_bytes: count,
})
export type ListedClient = v.InferOutput<typeof clientSchema>

/** One page of a list; the list itself stands under a name of its own. */
const pageSchema = v.looseObject({ next: cursor })
const itemsSchema = v.array(v.unknown())

/** `POST /api/token` */
const addedSchema = v.object({ token, port: v.nullish(count) })

/** `GET /api/tokens/{id}` of a server that knows policies. */
const withPolicySchema = v.object({ policy: v.unknown() })

/** `POST /api/tokens/{id}/check` */
const verdictSchema = v.object({ result: text, reason: text, token_id: v.nullish(id) })

const bothWays = v.object({ up: count, down: count })

/** `GET /api/tokens/{id}/usage` */
const usageSchema = v.object({
  token_id: id,
  since: text,
  total: bothWays,
  month: bothWays,
  day: bothWays,
  rate: bothWays,
  throttled: bothWays,
  dropped_datagrams: count,
  refusals: v.record(text, count),
  quota: v.nullish(quotaSchema),
})
export type UsageAnswer = v.InferOutput<typeof usageSchema>

/** `GET /api/status`, which every version has. */
const oldStatusSchema = v.object({
  version: text,
  tokens: v.array(
    v.object({
      token: text,
      type: text,
      clients_count: v.nullish(count),
      port: v.nullish(count),
      connector_tokens: v.nullish(v.array(text)),
      error: optionalText,
    }),
  ),
})

/** Every call that failed. */
const failedSchema = v.object({ error: text })

/** What an answer says, or `undefined` when it is none of this kind. */
export type AnswerReader<T> = (body: unknown) => T | undefined

function reader<Schema extends v.GenericSchema>(schema: Schema): AnswerReader<v.InferOutput<Schema>> {
  return (body) => {
    const result = v.safeParse(schema, body)
    return result.success ? result.output : undefined
  }
}

export const readServer = reader(serverSchema)
export const readListedToken = reader(tokenSchema)
export const readShownToken = reader(shownTokenSchema)
export const readListedClient = reader(clientSchema)
export const readAddedToken = reader(addedSchema)
export const readUsage = reader(usageSchema)
export const readVerdict = reader(verdictSchema)
/** As it is, for it is compared only. */
export const readShownPolicy: AnswerReader<unknown> = (body) => reader(withPolicySchema)(body)?.policy
export const readOldStatus = reader(oldStatusSchema)

/** The error text of a call that failed; old servers send it with status 200 too. */
export const readError: AnswerReader<string> = (body) => reader(failedSchema)(body)?.error

/** One page of the list called `name`, its items not judged. */
export function readPage(body: unknown, name: string): { items: readonly unknown[]; next: string | null } | undefined {
  const page = reader(pageSchema)(body)
  const items = reader(itemsSchema)(page?.[name])
  return page === undefined || items === undefined ? undefined : { items, next: page.next }
}
