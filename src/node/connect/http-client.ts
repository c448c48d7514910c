import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import type { Socket } from 'node:net'
import { LinkSocksError } from '../../errors.js'
import type { AbortOptions } from '../../ports.js'
import { MAX_HTTP_HEADER_BYTES } from '../../protocol/limits.js'
import { errorCode } from '../system/error-code.js'
import { openServerSocket, type ServerSocketOptions, shownOrigin } from './server-socket.js'
import { withUserAgent } from './user-agent.js'

export interface HttpRequest extends ServerSocketOptions {
  /** http or https. */
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  /** @default none */
  readonly body?: string | undefined
  /** Bytes of an answer's body; a longer one is an error. */
  readonly maxBytes: number
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Uint8Array
}

/**
 * One HTTP request on a connection of its own, reached as the tunnel's connections are. Redirects are answers like others.
 * @throws {LinkSocksError} ERR_CONNECT: not reached, no HTTP, or cut off; ERR_LIMIT: the answer is longer than `maxBytes`;
 *   the reason of `signal`
 */
export async function sendRequest(request: HttpRequest, { signal }: AbortOptions = {}): Promise<HttpAnswer> {
  const socket = await openServerSocket(request.url, request, signal)
  try {
    return await exchange(request, socket, signal)
  } finally {
    socket.destroy()
  }
}

function exchange(request: HttpRequest, socket: Socket, signal: AbortSignal | undefined): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => settle(() => reject(cancelled(signal)))
    const settle = (act: () => void): void => {
      signal?.removeEventListener('abort', onAbort)
      act()
    }
    if (signal?.aborted) return reject(cancelled(signal))
    signal?.addEventListener('abort', onAbort)
    const fail = (error: Error): void => settle(() => reject(failure(request.url, error)))
    // stays: the socket is destroyed once this is settled
    const sent = open(request, socket).on('error', fail)
    sent.on('response', (response) => {
      readBody(response, request.maxBytes).then((body) => {
        const { statusCode = 0, headers } = response
        settle(() => resolve({ status: statusCode, headers, body }))
      }, fail)
    })
    sent.end(request.body)
  })
}

function open({ url, method, headers, body }: HttpRequest, socket: Socket): ClientRequest {
  const { host, pathname, search } = new URL(url)
  return requestHttp({
    createConnection: () => socket,
    method,
    path: `${pathname}${search}`,
    maxHeaderSize: MAX_HTTP_HEADER_BYTES,
    headers: {
      host,
      connection: 'close',
      ...withUserAgent(headers),
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
    },
  })
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue
    length += chunk.byteLength
    if (length > maxBytes) throw new LinkSocksError('ERR_LIMIT', `the answer is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function cancelled(signal: AbortSignal | undefined): LinkSocksError {
  return signal === undefined ? new LinkSocksError('ERR_CANCELLED', 'cancelled') : LinkSocksError.cancelled(signal)
}

function failure(url: string, error: Error): LinkSocksError {
  if (error instanceof LinkSocksError) return error
  const code = errorCode(error)
  const reason =
    code.startsWith('HPE_') || code === 'ERR_INVALID_HTTP_RESPONSE'
      ? 'the answer is not HTTP'
      : code === 'ECONNRESET' || code === 'EPIPE'
        ? 'the connection was closed'
        : error.message
  return new LinkSocksError('ERR_CONNECT', `no answer from ${shownOrigin(url)}: ${reason}`, { cause: error })
}
