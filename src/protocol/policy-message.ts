import { LinkSocksError } from '../errors.js'
import type { EgressRule, TokenPolicy } from '../policy-fields.js'
import { ByteReader, ByteWriter } from './bytes.js'
import { MESSAGE_HEADER_BYTES, MessageType, PROTOCOL_VERSION } from './message-types.js'
import { decodeUtf8, encodeUtf8 } from './text.js'

/** What a provider judges by. */
export type SentPolicy = Pick<TokenPolicy, 'egress' | 'egressDefault'>

/** Where a token leads, under a number that Connects name (B.4). */
export interface PolicyMessage {
  readonly ref: number
  /** Absent: the number is given back. */
  readonly policy?: SentPolicy | undefined
}

/** `01 F1` Ref(4), then JSON to the end of the message, or nothing. */
export function encodePolicy({ ref, policy }: PolicyMessage): Uint8Array {
  const out = new ByteWriter().u8(PROTOCOL_VERSION).u8(MessageType.Policy).u32(ref)
  if (policy !== undefined) {
    const { egress = [], egressDefault } = policy
    out.bytes(encodeUtf8(JSON.stringify({ egress, egress_default: egressDefault })))
  }
  return out.done()
}

/** The number in a Policy message. @throws {LinkSocksError} ERR_MESSAGE_TRUNCATED */
export function policyRef(raw: Uint8Array): number {
  return new ByteReader(raw, MESSAGE_HEADER_BYTES).u32()
}

/**
 * Decodes the policy of a Policy message. What the texts in it mean is left to whoever judges by it.
 * @returns `undefined` where the number is given back
 * @throws {LinkSocksError} ERR_MESSAGE_TRUNCATED, ERR_MESSAGE_INVALID: no JSON, or a field that is not known or of another type, for it
 *   could be a limit
 */
export function decodePolicy(raw: Uint8Array): SentPolicy | undefined {
  policyRef(raw)
  const text = decodeUtf8(raw.subarray(MESSAGE_HEADER_BYTES + 4))
  if (text === '') return undefined
  const value = parsed(text)
  if (!isObject(value)) throw invalid()
  const { egress, egress_default: egressDefault, ...more } = value
  const isDefault = egressDefault === undefined || egressDefault === 'allow' || egressDefault === 'deny'
  if (Object.keys(more).length > 0 || !Array.isArray(egress) || !egress.every(isRule) || !isDefault) throw invalid()
  return { egress, egressDefault }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalid()
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isRule(value: unknown): value is EgressRule {
  if (!isObject(value)) return false
  const { action, hosts, ports, protocol, ...more } = value
  const known = Object.keys(more).length === 0 && (action === 'allow' || action === 'deny')
  return known && isListOf(hosts, isText) && isListOf(ports, isPorts) && (protocol === undefined || isText(protocol))
}

function isListOf(value: unknown, fits: (value: unknown) => boolean): boolean {
  return value === undefined || (Array.isArray(value) && value.every(fits))
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isPorts = (value: unknown): boolean =>
  typeof value === 'number' ||
  (Array.isArray(value) && value.length === 2 && value.every((port) => typeof port === 'number'))

function invalid(): LinkSocksError {
  return new LinkSocksError('ERR_MESSAGE_INVALID', 'a policy that is not understood')
}
