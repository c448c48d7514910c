import { createHash, randomBytes } from 'node:crypto'
import type { Crypto } from '../ports.js'

/** Node's CSPRNG and SHA-256. */
export const nodeCrypto: Crypto = {
  // copied out of Buffer, whose slice() shares memory where Uint8Array's copies
  randomBytes: (length) => new Uint8Array(randomBytes(length)),
  sha256: (data) => new Uint8Array(createHash('sha256').update(data).digest()),
}
