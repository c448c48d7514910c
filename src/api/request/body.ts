/** Reads request bodies within their limit. */
import { KIB } from '../../protocol/limits.js'
import { Refusal } from './answers.js'

/** Largest body of most requests; a longer one is answered 413 and not read on. */
export const MAX_BODY_BYTES = 64 * KIB
/** Largest body that may hold rules and a policy: as much as a token may have in the store. */
export const MAX_TOKEN_BODY_BYTES = 256 * KIB

export type JsonObject = Readonly<Record<string, unknown>>

const invalidBody = () => new Refusal(400, 'invalid request body')
const tooLarge = (maxBytes: number) => new Refusal(413, `request body is larger than ${maxBytes} bytes`)

/** Checks the announced length, before a byte of the body is read. */
export function announcedTooLarge(request: Request, maxBytes = MAX_BODY_BYTES): Refusal | undefined {
  const length = request.headers.get('content-length')
  return length !== null && Number(length) > maxBytes ? tooLarge(maxBytes) : undefined
}

/**
 * Reads a JSON object, whatever the Content-Type says.
 * @returns `undefined` for a body of no bytes; a refusal for one that is too long, cut off, not UTF-8 or no object.
 */
export async function readJsonObject(
  request: Request,
  maxBytes = MAX_BODY_BYTES,
): Promise<JsonObject | Refusal | undefined> {
  const bytes = await readBody(request, maxBytes)
  if (bytes instanceof Refusal) return bytes
  if (bytes.byteLength === 0) return undefined
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return isObject(value) ? value : invalidBody()
  } catch {
    return invalidBody()
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Stops reading at the limit, at the first error of the body and when the request is aborted. */
async function readBody(request: Request, maxBytes: number): Promise<Uint8Array | Refusal> {
  if (request.body === null) return new Uint8Array(0)
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader()
  const stop = (): void => void reader.cancel().catch(() => {})
  request.signal.addEventListener('abort', stop, { once: true })
  try {
    const bytes = await collect(reader, maxBytes)
    if (request.signal.aborted) return invalidBody()
    return bytes ?? tooLarge(maxBytes)
  } catch {
    return invalidBody()
  } finally {
    request.signal.removeEventListener('abort', stop)
    stop()
  }
}

/** @returns `undefined` when more than `maxBytes` come. */
async function collect(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const body = new Uint8Array(maxBytes)
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return body.subarray(0, length)
    if (length + value.byteLength > maxBytes) return undefined
    body.set(value, length)
    length += value.byteLength
  }
}
