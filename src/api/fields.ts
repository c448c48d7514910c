/** Fields that several calls take. Each message is the error text the caller reads. */
import * as v from 'valibot'
import { MAX_CREDENTIAL_BYTES, MAX_PORT } from '../relay/tokens/token-checks.js'
import { MAX_LABEL_BYTES } from '../relay/tokens/token-text.js'

/** No control characters; no lone surrogates, which UTF-8 cannot carry. */
export const PLAIN_TEXT = /^[^\p{Cc}\p{Cs}]*$/u
const WELL_FORMED_TEXT = /^\P{Cs}*$/u

const credentialError = (field: string) => `${field} must be a string of 1 to 255 bytes of UTF-8`
const LABEL_ERROR = 'label must be a string of 1 to 200 bytes of UTF-8 without control characters'
const PORT_ERROR = 'port must be an integer from 1 to 65535'
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

export const port = v.pipe(
  v.number(PORT_ERROR),
  v.integer(PORT_ERROR),
  v.minValue(1, PORT_ERROR),
  v.maxValue(MAX_PORT, PORT_ERROR),
)

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
