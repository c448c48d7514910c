import type { Socket } from 'node:net'
import { LinkSocksError } from '../../errors.js'
import type { Decoded } from '../../streams/handshake-stream.js'

export interface SocketReadOptions {
  /** Longest message; a longer one fails. */
  readonly maxBytes: number
  readonly signal: AbortSignal
}

/**
 * Reads one message of a handshake from a socket that is not flowing. What came after it goes back to the socket.
 * @param decode gives `undefined` while the bytes are too few; what it throws is passed on
 * @throws {LinkSocksError} ERR_PROXY_FAILED when the connection ends first or the message is too long, the reason of `signal`
 */
export function readMessage<T>(
  socket: Socket,
  decode: (bytes: Uint8Array) => Decoded<T> | undefined,
  { maxBytes, signal }: SocketReadOptions,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0)
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort)
      socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd)
    }
    const fail = (thrown: unknown): void => {
      settle()
      reject(LinkSocksError.from(thrown, 'ERR_PROXY_FAILED'))
    }
    const onAbort = (): void => fail(LinkSocksError.cancelled(signal))
    const onEnd = (): void => fail(new LinkSocksError('ERR_PROXY_FAILED', 'it closed the connection'))
    const onReadable = (): void => {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      received = Buffer.concat([received, chunk])
      try {
        const decoded = decode(received)
        if (decoded !== undefined) {
          settle()
          if (decoded.bytesRead < received.length) socket.unshift(received.subarray(decoded.bytesRead))
          resolve(decoded.value)
        } else if (received.length > maxBytes) {
          fail(new LinkSocksError('ERR_PROXY_FAILED', `its answer is longer than ${maxBytes} bytes`))
        }
      } catch (thrown) {
        fail(thrown)
      }
    }
    if (signal.aborted) return onAbort()
    if (socket.destroyed || socket.readableEnded) return onEnd()
    signal.addEventListener('abort', onAbort)
    socket.on('readable', onReadable).on('end', onEnd).on('close', onEnd)
  })
}
