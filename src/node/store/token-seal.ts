import { createCipheriv, createDecipheriv, createHash, type KeyObject, randomBytes } from 'node:crypto'

const CIPHER = 'aes-256-gcm'
/** Of what is sealed and how; bound into every sealed value. */
const FORMAT = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const SUM_BYTES = 32

/** What `seal()` adds to a value. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES

/** The sealed value that tells whether a key is the one a database was made with. */
const KEY_CHECK = { subject: 'key-check', text: Buffer.from('linksocks') } as const

/**
 * Seals values with AES-256-GCM: NONCE (12, random) TAG (16) CIPHERTEXT. A value opens only under the subject it was
 * sealed for.
 */
export class TokenSeal {
  readonly #key: KeyObject

  constructor(key: KeyObject) {
    this.#key = key
  }

  seal(value: Uint8Array, subject: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(boundTo(subject))
    const text = Buffer.concat([cipher.update(value), cipher.final()])
    return Buffer.concat([nonce, cipher.getAuthTag(), text])
  }

  /** @throws {Error} another key, another subject, or a changed byte */
  unseal(sealed: Uint8Array, subject: string): Buffer {
    if (sealed.byteLength < SEAL_BYTES) throw new Error('too short')
    const decipher = createDecipheriv(CIPHER, this.#key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAAD(boundTo(subject))
    decipher.setAuthTag(sealed.subarray(NONCE_BYTES, SEAL_BYTES))
    return Buffer.concat([decipher.update(sealed.subarray(SEAL_BYTES)), decipher.final()])
  }

  /** For a new database: a sealed value and its SHA-256, which tells a changed byte from another key. */
  makeKeyCheck(): Buffer {
    const sealed = this.seal(KEY_CHECK.text, KEY_CHECK.subject)
    return Buffer.concat([sealed, sha256(sealed)])
  }

  /** Whether `check` was made with this key. */
  fits(check: Uint8Array): 'yes' | 'another-key' | 'damaged' {
    const sealed = check.subarray(0, -SUM_BYTES)
    if (!sha256(sealed).equals(check.subarray(-SUM_BYTES))) return 'damaged'
    try {
      this.unseal(sealed, KEY_CHECK.subject)
      return 'yes'
    } catch {
      return 'another-key'
    }
  }
}

function boundTo(subject: string): Buffer {
  return Buffer.from(`linksocks tokens ${FORMAT} ${subject}`)
}

function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest()
}
