import { LinkSocksError } from '../../errors.js'
import type { TokenRecord } from '../../ports.js'
import { decodeUtf8, encodeUtf8 } from '../../protocol/text.js'
import { ID_TEXT } from './token-text.js'

/** Largest record, as JSON. The longest that the API admits have a tenth of it. */
export const MAX_RECORD_BYTES = 16_384

type Fits = (value: unknown) => boolean

const isText: Fits = (value) => typeof value === 'string'
const isWhole: Fits = (value) => Number.isSafeInteger(value)
const isFlag: Fits = (value) => typeof value === 'boolean'
const orAbsent =
  (fits: Fits): Fits =>
  (value) =>
    value === undefined || fits(value)

const FIELDS: Readonly<Record<keyof TokenRecord, Fits>> = {
  id: (value) => typeof value === 'string' && ID_TEXT.test(value),
  type: (value) => value === 'forward' || value === 'reverse' || value === 'connector',
  token: isText,
  createdAt: isWhole,
  label: orAbsent(isText),
  enabled: isFlag,
  expiresAt: orAbsent(isWhole),
  port: orAbsent(isWhole),
  username: orAbsent(isText),
  password: orAbsent(isText),
  autonomy: orAbsent(isFlag),
  reverseToken: orAbsent(isText),
}

function isRecord(value: object): value is TokenRecord {
  const fields = new Map<string, unknown>(Object.entries(value))
  return Object.entries(FIELDS).every(([name, fits]) => fits(fields.get(name)))
}

/** A frozen copy with the fields of a record and nothing else; `undefined` when `value` is none. */
function copyOf(value: unknown): TokenRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const known = Object.entries(value).filter(([name, field]) => name in FIELDS && field !== undefined)
  const copy: object = Object.freeze(Object.fromEntries(known))
  return isRecord(copy) ? copy : undefined
}

/**
 * What is kept of `record`, and its JSON.
 * @throws {LinkSocksError} ERR_NOT_STORED (no record, or more than {@link MAX_RECORD_BYTES}). No field is repeated.
 */
export function encodeRecord(record: TokenRecord): { readonly record: TokenRecord; readonly bytes: Uint8Array } {
  const copy = copyOf(record)
  if (copy === undefined) throw new LinkSocksError('ERR_NOT_STORED', 'not a token record')
  const bytes = encodeUtf8(JSON.stringify(copy))
  if (bytes.byteLength > MAX_RECORD_BYTES) {
    throw new LinkSocksError('ERR_NOT_STORED', `a token record has at most ${MAX_RECORD_BYTES} bytes`)
  }
  return { record: copy, bytes }
}

/** Reads what {@link encodeRecord} wrote. @throws {LinkSocksError} ERR_STORE */
export function decodeRecord(bytes: Uint8Array): TokenRecord {
  const record = copyOf(JSON.parse(decodeUtf8(bytes)))
  if (record === undefined) throw new LinkSocksError('ERR_STORE', 'not a token record')
  return record
}
