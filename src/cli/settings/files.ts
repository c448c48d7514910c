import { open } from 'node:fs/promises'
import { LinkSocksError } from '../../errors.js'

/** Largest file taken for a token, password or key. */
export const SECRET_FILE_LIMIT = 4_096
/** Largest file of API keys. */
export const KEYS_FILE_LIMIT = 131_072
/** Largest file of certificates. */
export const CA_FILE_LIMIT = 1_048_576

/**
 * Reads a whole text file of at most `limit` bytes; pipes such as /dev/fd/3 work too.
 * @throws {LinkSocksError} ERR_OPTION; the message never holds what was read.
 */
export async function readTextFile(path: string, limit: number): Promise<string> {
  const bytes = await readBytes(path, limit)
  if (bytes.byteLength > limit) throw new LinkSocksError('ERR_OPTION', `the file is larger than ${limit} bytes`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new LinkSocksError('ERR_OPTION', 'the file is not UTF-8 text')
  }
}

/** As {@link readTextFile}, without the line end that editors and `echo` leave at the end. */
export async function readSecretFile(path: string, limit: number = SECRET_FILE_LIMIT): Promise<string> {
  return (await readTextFile(path, limit)).replace(/\r?\n$/, '')
}

/** At most one byte more than `limit`. */
async function readBytes(path: string, limit: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(limit + 1)
  let length = 0
  try {
    const file = await open(path, 'r')
    try {
      while (length <= limit) {
        const { bytesRead } = await file.read(buffer, length, buffer.byteLength - length, null)
        if (bytesRead === 0) break
        length += bytesRead
      }
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw new LinkSocksError('ERR_OPTION', `cannot read the file (${reason(cause)})`, { cause })
  }
  return buffer.subarray(0, length)
}

function reason(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
}
