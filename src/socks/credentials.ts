import type { Credentials } from '../ports.js'
import { encodeUtf8 } from '../protocol/text.js'
import { MAX_CREDENTIAL_BYTES, type UserPassword } from './codec.js'

/** One byte for the length and as many as RFC 1929 can carry. */
const PADDED_BYTES = 1 + MAX_CREDENTIAL_BYTES

/** Whether a client gave what it must; compares in a time that depends on neither part; credentials RFC 1929 cannot carry match nothing. */
export function credentialsMatch(expected: Credentials, given: UserPassword): boolean {
  const username = differences(encodeUtf8(expected.username), given.username)
  const password = differences(encodeUtf8(expected.password), given.password)
  return (username | password) === 0
}

/** 0 when equal; always goes through the whole of the padded buffers. */
function differences(expected: Uint8Array, given: Uint8Array): number {
  const [a, b] = [padded(expected), padded(given)]
  let difference = expected.length < PADDED_BYTES ? 0 : 1
  for (let index = 0; index < PADDED_BYTES; index++) difference |= (a[index] ?? 0) ^ (b[index] ?? 0)
  return difference
}

function padded(bytes: Uint8Array): Uint8Array {
  const buffer = new Uint8Array(PADDED_BYTES)
  buffer[0] = bytes.length
  buffer.set(bytes.subarray(0, PADDED_BYTES - 1), 1)
  return buffer
}
