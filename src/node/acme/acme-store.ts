import type { KeyObject } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { LinkSocksError } from '../../errors.js'
import { MIB } from '../../protocol/limits.js'
import { removeUnfinished, replaceFile } from '../store/durable-files.js'
import { storeError } from '../store/store-errors.js'
import { TokenSeal } from '../store/token-seal.js'
import { errorCode } from '../system/error-code.js'

const FILE = 'acme.sealed'
/** Before what is sealed: which file this is, and in which format. */
const MAGIC = Buffer.from('LSacme01')
const SUBJECT = 'acme 1'
const MAX_FILE_BYTES = 16 * MIB

export interface StoredAccount {
  /** PEM, a secret. */
  readonly key: string
  /** URL of the account; `undefined` before it was made: a key is kept before it is used. */
  readonly kid?: string | undefined
}

export interface StoredCertificate {
  /** URL of the directory that it came from. */
  readonly directory: string
  readonly chain: string
  /** PEM, a secret. */
  readonly key: string
  /** Unix milliseconds. */
  readonly obtainedAt: number
}

/** What became of the last attempts for one name. */
export interface StoredAttempts {
  /** In a row. */
  readonly failures: number
  /** Unix milliseconds. */
  readonly nextAt: number
  /** Until when the authority wants to be left alone, Unix milliseconds. */
  readonly askedUntil?: number | undefined
  /** How it is to be validated first. */
  readonly type: string | undefined
}

export interface AcmeState {
  /** By the URL of the directory. */
  readonly accounts: Record<string, StoredAccount>
  /** By name. */
  readonly certificates: Record<string, StoredCertificate>
  readonly attempts: Record<string, StoredAttempts>
}

export function emptyState(): AcmeState {
  return { accounts: noEntries(), certificates: noEntries(), attempts: noEntries() }
}

/** A table without what every object has: `constructor` may be a name. */
function noEntries<T>(entries: Record<string, T> = {}): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, entries)
}

/**
 * Account and certificates in the data directory, sealed with its key as tokens are (docs/data-directory.md). Every method throws
 * {@link LinkSocksError} ERR_STORE, in words that name the file and what to do.
 */
export class AcmeStore {
  readonly #path: string
  readonly #seal: TokenSeal
  /** Writes, one after the other. */
  #last: Promise<void> = Promise.resolve()

  /** @param key of the data directory */
  constructor(directory: string, key: KeyObject) {
    this.#path = join(directory, FILE)
    this.#seal = new TokenSeal(key)
  }

  async load(): Promise<AcmeState> {
    await removeUnfinished(this.#path).catch(() => {})
    const bytes = await this.#read()
    if (bytes === undefined) return emptyState()
    const advice = `move ${this.#path} away to get new certificates`
    if (!bytes.subarray(0, MAGIC.byteLength).equals(MAGIC)) {
      throw new LinkSocksError('ERR_STORE', `${this.#path} is no file of certificates of this version: ${advice}`)
    }
    try {
      // what is sealed was written here
      const text = this.#seal.unseal(bytes.subarray(MAGIC.byteLength), SUBJECT).toString()
      const { accounts, certificates, attempts } = JSON.parse(text) as AcmeState
      return {
        accounts: noEntries(accounts),
        certificates: noEntries(certificates),
        attempts: noEntries(attempts),
      }
    } catch (cause) {
      const text = `${this.#path} is damaged, or was made with another data key: ${advice}`
      throw new LinkSocksError('ERR_STORE', text, { cause })
    }
  }

  /** Brings `state`, as it is now, to the disk. */
  async save(state: AcmeState): Promise<void> {
    const sealed = Buffer.concat([MAGIC, this.#seal.seal(Buffer.from(JSON.stringify(state)), SUBJECT)])
    if (sealed.byteLength > MAX_FILE_BYTES) throw this.#tooLong()
    const write = this.#last.then(() => replaceFile(this.#path, sealed))
    this.#last = write.catch(() => {})
    try {
      await write
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new LinkSocksError('ERR_STORE', `can't write ${this.#path}: ${reason}`, { cause })
    }
  }

  async #read(): Promise<Buffer | undefined> {
    let file: FileHandle | undefined
    try {
      file = await open(this.#path, 'r')
      const { size } = await file.stat()
      if (size > MAX_FILE_BYTES) throw this.#tooLong()
      return await file.readFile()
    } catch (thrown) {
      if (errorCode(thrown) === 'ENOENT') return undefined
      throw storeError(this.#path, thrown)
    } finally {
      await file?.close()
    }
  }

  #tooLong(): LinkSocksError {
    return new LinkSocksError('ERR_STORE', `${this.#path}: more than ${MAX_FILE_BYTES / MIB} MiB`)
  }
}
