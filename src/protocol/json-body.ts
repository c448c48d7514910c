import { LinkSocksError } from '../errors.js'
import type { ByteReader } from './bytes.js'
import { MAX_JSON_BYTES } from './limits.js'
import { decodeUtf8 } from './text.js'

/**
 * DataLen(4) and a JSON object, judged by its length before it is parsed.
 * @throws {LinkSocksError} ERR_MESSAGE_TRUNCATED, ERR_MESSAGE_TOO_LARGE (over 64 KiB), ERR_MESSAGE_INVALID
 */
export function readJsonObject(reader: ByteReader): Readonly<Record<string, unknown>> {
  const length = reader.u32()
  if (length > MAX_JSON_BYTES) {
    throw new LinkSocksError('ERR_MESSAGE_TOO_LARGE', `JSON of ${length} bytes, at most ${MAX_JSON_BYTES} are read`)
  }
  const value = parseJson(decodeUtf8(reader.view(length)))
  if (!isRecord(value)) throw new LinkSocksError('ERR_MESSAGE_INVALID', 'JSON in a message is not an object')
  return value
}

/** Whether a value of JSON counts something: a whole number that is exact. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // no cause: its text quotes the peer's bytes as they are
    throw new LinkSocksError('ERR_MESSAGE_INVALID', 'message holds broken JSON')
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
