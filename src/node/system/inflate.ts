import { gunzip } from 'node:zlib'
import { LinkSocksError } from '../../errors.js'
import type { Inflate } from '../../ports.js'
import { KIB } from '../../protocol/limits.js'
import { errorCode } from './error-code.js'

/** Header (10) and trailer (8) of a gzip member without extra fields (RFC 1952 section 2.3). */
const MIN_GZIP_BYTES = 18
/** Output is collected in pieces of this many bytes. */
const CHUNK_BYTES = 64 * KIB

/** Inflates on Node's thread pool. Bytes after the first gzip member, a second member included, are ERR_MESSAGE_INVALID. */
export const nodeInflate: Inflate = async (data, maxBytes) => {
  if (data.byteLength < MIN_GZIP_BYTES) throw new LinkSocksError('ERR_MESSAGE_INVALID', 'gzip data is cut short')
  const output = await gunzipAsync(data, maxBytes)
  // zlib joins members and passes over zero padding: either way the last ISIZE is not the length of all that came out
  const { buffer, byteOffset, byteLength } = data
  const claimed = new DataView(buffer, byteOffset, byteLength).getUint32(byteLength - 4, true)
  if (claimed !== output.byteLength) {
    throw new LinkSocksError('ERR_MESSAGE_INVALID', 'gzip data does not end with its first member')
  }
  return output
}

function gunzipAsync(data: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const options = { maxOutputLength: Math.max(1, maxBytes), chunkSize: CHUNK_BYTES }
  return new Promise((resolve, reject) => {
    gunzip(data, options, (error, output) => {
      if (error) reject(inflateError(error, maxBytes))
      else if (output.byteLength > maxBytes) reject(tooLarge(maxBytes))
      else resolve(new Uint8Array(output.buffer, output.byteOffset, output.byteLength))
    })
  })
}

function inflateError(error: Error, maxBytes: number): LinkSocksError {
  if (errorCode(error) === 'ERR_BUFFER_TOO_LARGE') return tooLarge(maxBytes, error)
  return new LinkSocksError('ERR_MESSAGE_INVALID', `gzip data is invalid: ${error.message}`, { cause: error })
}

function tooLarge(maxBytes: number, cause?: Error): LinkSocksError {
  return new LinkSocksError('ERR_MESSAGE_TOO_LARGE', `gzip data inflates to more than ${maxBytes} bytes`, { cause })
}
