import { createHash, randomFillSync } from 'node:crypto'
import type { Crypto } from '../../ports.js'

/** Taken from the CSPRNG at a time: one call for a few bytes costs as much as one for all of these. */
const AHEAD_BYTES = 4_096

const ahead = new Uint8Array(AHEAD_BYTES)
let used = AHEAD_BYTES

/** Bytes that were given out are forgotten here. */
function randomBytes(length: number): Uint8Array {
  if (length > AHEAD_BYTES) return randomFillSync(new Uint8Array(length))
  if (used + length > AHEAD_BYTES) {
    randomFillSync(ahead)
    used = 0
  }
  const bytes = ahead.slice(used, used + length)
  ahead.fill(0, used, used + length)
  used += length
  return bytes
}

/** Node's CSPRNG and SHA-256. */
export const nodeCrypto: Crypto = {
  randomBytes,
  sha256: (data) => new Uint8Array(createHash('sha256').update(data).digest()),
}
