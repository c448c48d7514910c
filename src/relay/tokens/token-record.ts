import { LinkSocksError } from '../../errors.js'
import type { EgressRule, PolicyHours, PolicyQuota, PolicyRate, TokenPolicy } from '../../policy-fields.js'
import type { AccessRule, ServerAccessRules, TokenRecord } from '../../ports.js'
import { KIB } from '../../protocol/limits.js'
import { decodeUtf8, encodeUtf8 } from '../../protocol/text.js'
import { ID_TEXT } from './token-text.js'

/** Largest record, as JSON. The longest rules that are admitted fit in, with everything else at its longest. */
export const MAX_RECORD_BYTES = 256 * KIB

type Fits = (value: unknown) => boolean

const isText: Fits = (value) => typeof value === 'string'
const isWhole: Fits = (value) => Number.isSafeInteger(value)
const isFlag: Fits = (value) => typeof value === 'boolean'
const orAbsent =
  (fits: Fits): Fits =>
  (value) =>
    value === undefined || fits(value)

const isListOf =
  (fits: Fits): Fits =>
  (value) =>
    Array.isArray(value) && value.every(fits)
const isPortEntry: Fits = (value) => isWhole(value) || (isListOf(isWhole)(value) && (value as unknown[]).length === 2)
const isRule: Fits = (value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { addresses, ports, ...more } = value as Record<keyof AccessRule, unknown>
  return (
    orAbsent(isListOf(isText))(addresses) && orAbsent(isListOf(isPortEntry))(ports) && Object.keys(more).length === 0
  )
}
const isRules = orAbsent(isListOf(isRule))

/** An object with these fields and no others, of which only `needed` may not be absent. */
const isObjectOf =
  (fields: Readonly<Record<string, Fits>>, ...needed: readonly string[]): Fits =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    if (needed.some((name) => !Object.hasOwn(value, name))) return false
    return Object.entries(value).every(([name, field]) => Object.hasOwn(fields, name) && fields[name]?.(field) === true)
  }
const RULE_FIELDS: Readonly<Record<keyof EgressRule, Fits>> = {
  action: isText,
  hosts: isListOf(isText),
  ports: isListOf(isPortEntry),
  protocol: isText,
}
const isEgressRule = isObjectOf(RULE_FIELDS, 'action')
const HOURS_FIELDS: Readonly<Record<keyof PolicyHours, Fits>> = {
  days: isListOf(isText),
  from: isText,
  to: isText,
  zone: isText,
}
const isHours = isObjectOf(HOURS_FIELDS, 'from', 'to')
const RATE_FIELDS: Readonly<Record<keyof PolicyRate, Fits>> = {
  up: isWhole,
  down: isWhole,
  burst: isWhole,
  streamUp: isWhole,
  streamDown: isWhole,
}
const QUOTA_FIELDS: Readonly<Record<keyof PolicyQuota, Fits>> = { bytes: isWhole, period: isText, direction: isText }
/** What the texts in it mean is checked when it is compiled. */
const isPolicy = isObjectOf({
  egress: isListOf(isEgressRule),
  egressDefault: isText,
  maxStreams: isWhole,
  maxClients: isWhole,
  connectsPerMinute: isWhole,
  sources: isListOf(isText),
  clientSubjects: isListOf(isText),
  hours: isListOf(isHours),
  rate: isObjectOf(RATE_FIELDS),
  quota: isObjectOf(QUOTA_FIELDS, 'bytes', 'period'),
} satisfies Record<keyof TokenPolicy, Fits>)

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
  rules: isRules,
  policy: orAbsent(isPolicy),
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

/**
 * Whether a store would take the record, which is said before it is asked: its refusal would look like a full disk.
 * @throws {LinkSocksError} ERR_TOKEN_INVALID
 */
export function checkRecordSize(record: TokenRecord): void {
  // nothing else grows
  if (record.rules === undefined && record.policy === undefined) return
  if (encodeUtf8(JSON.stringify(record)).byteLength <= MAX_RECORD_BYTES) return
  throw new LinkSocksError(
    'ERR_TOKEN_INVALID',
    `rules and policy are too long: a token with all its fields has at most ${MAX_RECORD_BYTES} bytes`,
  )
}

/** Reads what {@link encodeRecord} wrote. @throws {LinkSocksError} ERR_STORE */
export function decodeRecord(bytes: Uint8Array): TokenRecord {
  const record = copyOf(JSON.parse(decodeUtf8(bytes)))
  if (record === undefined) throw new LinkSocksError('ERR_STORE', 'not a token record')
  return record
}

/** The rules of a whole server as JSON. @throws {LinkSocksError} ERR_NOT_STORED */
export function encodeAccess({ entry, dial }: ServerAccessRules): Uint8Array {
  const bytes = encodeUtf8(JSON.stringify({ entry, dial }))
  if (bytes.byteLength <= 2 * MAX_RECORD_BYTES) return bytes
  throw new LinkSocksError('ERR_NOT_STORED', `access rules have at most ${2 * MAX_RECORD_BYTES} bytes`)
}

/** Reads what {@link encodeAccess} wrote. @throws {LinkSocksError} ERR_STORE */
export function decodeAccess(bytes: Uint8Array): ServerAccessRules {
  const value: unknown = JSON.parse(decodeUtf8(bytes))
  if (isAccess(value)) return value
  throw new LinkSocksError('ERR_STORE', 'not the access rules of a server')
}

function isAccess(value: unknown): value is ServerAccessRules {
  if (typeof value !== 'object' || value === null) return false
  const { entry, dial, ...more } = value as Record<keyof ServerAccessRules, unknown>
  return isRules(entry) && isRules(dial) && Object.keys(more).length === 0
}
