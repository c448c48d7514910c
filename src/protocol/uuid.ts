import type { Crypto } from '../ports.js'
import { hex } from './hex.js'

/** Bytes of a channel id, request id, instance or session id on the wire. */
export const UUID_BYTES = 16

/** 16 id bytes in a form that a Map can look up; not for display. */
export type ChannelKey = string

/** The Map key of the 16 bytes at `offset`, which must be there: two bytes a character, eight characters. */
export function channelKey(bytes: Uint8Array, offset = 0): ChannelKey {
  return String.fromCharCode(
    pair(bytes, offset),
    pair(bytes, offset + 2),
    pair(bytes, offset + 4),
    pair(bytes, offset + 6),
    pair(bytes, offset + 8),
    pair(bytes, offset + 10),
    pair(bytes, offset + 12),
    pair(bytes, offset + 14),
  )
}

/** The 16 bytes of a key. */
export function bytesOfKey(key: ChannelKey): Uint8Array {
  return Uint8Array.from({ length: UUID_BYTES }, (_, at) => {
    const both = key.charCodeAt(at >> 1)
    return at % 2 === 0 ? both >> 8 : both & 0xff
  })
}

function pair(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0)
}

/** What a peer without an instance id sends (RFC 9562 section 5.9). */
export const NIL_UUID: Uint8Array = new Uint8Array(UUID_BYTES)

/** A random UUID, version 4 (RFC 9562 section 5.4). */
export function newUuid(crypto: Crypto): Uint8Array {
  const id = crypto.randomBytes(UUID_BYTES)
  id[6] = ((id[6] ?? 0) & 0x0f) | 0x40
  id[8] = ((id[8] ?? 0) & 0x3f) | 0x80
  return id
}

const UUID_TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Reads the 8-4-4-4-12 form in either case, any version; `undefined` for anything else. */
export function parseUuid(text: string): Uint8Array | undefined {
  if (!UUID_TEXT.test(text)) return undefined
  const digits = text.replaceAll('-', '')
  return Uint8Array.from({ length: UUID_BYTES }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16))
}

/** Writes 16 bytes in the 8-4-4-4-12 form, lower case. */
export function formatUuid(bytes: Uint8Array): string {
  const digits = hex(bytes)
  return [0, 8, 12, 16, 20].map((start, i, starts) => digits.slice(start, starts[i + 1] ?? 32)).join('-')
}
