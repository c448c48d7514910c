/** Fields that several routes take or give, as on the wire. Each message is the error text that the caller reads. */
import * as v from 'valibot'
import { MAX_PORT } from '../address.js'
import { PROXY_PROTOCOLS } from '../inbound/serve-inbound.js'
import { PLAIN_TEXT } from '../protocol/text.js'
import { ID_TEXT, MAX_LABEL_BYTES } from '../relay/tokens/token-text.js'
import { MAX_CREDENTIAL_BYTES } from '../socks/codec.js'
import { parseTime } from './timestamp.js'

const WELL_FORMED_TEXT = /^\P{Cs}*$/u

const credentialError = (field: string) => `${field} must be a string of 1 to ${MAX_CREDENTIAL_BYTES} bytes of UTF-8`
const LABEL_ERROR = `label must be a string of 1 to ${MAX_LABEL_BYTES} bytes of UTF-8 without control characters`
const PORT_ERROR = `port must be an integer from 1 to ${MAX_PORT}`
const EXPIRY_ERROR = 'expires_at must be a time in UTC such as 2030-01-31T12:00:00Z'
export const PAIR_ERROR = 'username and password must be given together'

/**
 * What the document says of a text. JSON Schema counts characters, not bytes, and not every reader of it knows `\p`; a lone
 * surrogate can't stand in UTF-8 anyway.
 */
const documented = (maxBytes: number, pattern?: string) =>
  ({ maxLength: maxBytes, pattern, description: `At most ${maxBytes} bytes of UTF-8` }) as const
export const documentedPlain = (maxBytes: number) => documented(maxBytes, '^[^\\u0000-\\u001f\\u007f-\\u009f]*$')

export const credential = (field: string) =>
  v.pipe(
    v.string(credentialError(field)),
    v.minLength(1, credentialError(field)),
    v.regex(WELL_FORMED_TEXT, credentialError(field)),
    v.maxBytes(MAX_CREDENTIAL_BYTES, credentialError(field)),
    v.metadata(documented(MAX_CREDENTIAL_BYTES)),
  )

export const label = v.pipe(
  v.string(LABEL_ERROR),
  v.minLength(1, LABEL_ERROR),
  v.regex(PLAIN_TEXT, LABEL_ERROR),
  v.maxBytes(MAX_LABEL_BYTES, LABEL_ERROR),
  v.metadata(documentedPlain(MAX_LABEL_BYTES)),
)

const portOf = (error: string) =>
  v.pipe(v.number(error), v.integer(error), v.minValue(1, error), v.maxValue(MAX_PORT, error))
export const port = portOf(PORT_ERROR)

/** A port of a rule or two of them, the first and the last; anything else is answered `error`. */
export const rulePort = (error: string) =>
  // of a tuple JSON Schema would not say how long it is
  v.union([portOf(error), v.pipe(v.array(portOf(error), error), v.length(2, error))], error)

/** What a client of a proxy port speaks. */
export const proxyProtocol = v.picklist(PROXY_PROTOCOLS)

const PROTOCOLS_ERROR =
  "proxy_protocols cannot be set for a token: the server's --proxy-protocols holds for all of them"
/** Shown of a token and never taken: a token that asks for some protocols would get all of them. */
export const noProxyProtocols = v.never(PROTOCOLS_ERROR)

const pair = (type: 'string' | 'null') => ({ username: { type }, password: { type } })
const required = ['username', 'password']
/** For the document: both or neither, where null counts as neither. */
export const newPair = { anyOf: [{ properties: pair('string'), required }, { properties: pair('null') }] }
/** For the document: both, both null, or neither. */
export const changedPair = {
  anyOf: [
    { properties: pair('string'), required },
    { properties: pair('null'), required },
    { properties: { username: false, password: false } },
  ],
}

/** For the document: RFC 3339 in UTC. */
const documentedTime = (fraction: string, description: string) => ({
  format: 'date-time',
  pattern: `^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]${fraction}Z$`,
  description,
})

/** A time that a request names; that it lies in the future is checked by the relay. */
export const futureTime = v.pipe(
  v.string(EXPIRY_ERROR),
  v.check((text) => parseTime(text) !== undefined, EXPIRY_ERROR),
  v.metadata(documentedTime('([.][0-9]{1,9})?', 'In UTC, and in the future')),
)

/** A time in an answer. */
export const time = v.pipe(v.string(), v.metadata(documentedTime('[.][0-9]{3}', 'In UTC')))

export const count = v.pipe(v.number(), v.integer(), v.minValue(0))

/** @param name of the parameter, for its error text */
export const idOf = (name: string) => {
  const error = `${name} must be an id of 24 hex digits`
  return v.pipe(v.string(error), v.regex(ID_TEXT, error))
}
export const publicId = idOf('id')

const unknownParameter = (issue: v.StrictObjectIssue): string =>
  issue.expected === 'never' ? `unknown parameter: ${issue.path?.[0]?.key ?? ''}` : 'invalid query'

/** A query with these parameters and no others. */
export const queryOf = <Parameters extends v.ObjectEntries>(parameters: Parameters) =>
  v.strictObject(parameters, unknownParameter)
export const noQuery = queryOf({})
