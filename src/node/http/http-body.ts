import type { IncomingMessage } from 'node:http'

/** How much of a body nobody wants is still read, so that the client sees the answer instead of a reset. */
const DISCARD_BYTES = 256 * 1024
/** How long at most. */
const DISCARD_MS = 1_000

/**
 * The body of a request, read only as the consumer asks for it. Cancelling stops the reading and leaves the
 * connection, which still has to carry the answer.
 */
export function requestBody(message: IncomingMessage, onRead: () => void): ReadableStream<Uint8Array> {
  let open = true
  let asked = false
  const finish = (settle: () => void): void => {
    if (!open) return
    open = false
    settle()
  }
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        message.pause()
        message.on('data', (chunk: Uint8Array) => {
          if (!open) return
          message.pause()
          controller.enqueue(chunk)
        })
        message.on('end', () => finish(() => controller.close()))
        message.on('close', () => finish(() => controller.error(new Error('the request ended within its body'))))
      },
      pull() {
        if (!asked) onRead()
        asked = true
        message.resume()
      },
      cancel() {
        finish(() => message.pause())
      },
    },
    { highWaterMark: 0 },
  )
}

/** Reads what is left of a body and throws it away, within {@link DISCARD_BYTES} and {@link DISCARD_MS}. */
export function discardBody(message: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let left = DISCARD_BYTES
    const done = (): void => {
      clearTimeout(timer)
      message.off('data', count).off('end', done).off('close', done)
      resolve()
    }
    const count = (chunk: Uint8Array): void => {
      left -= chunk.byteLength
      if (left < 0) done()
    }
    const timer = setTimeout(done, DISCARD_MS)
    if (message.complete || message.destroyed) return done()
    // the body stream, if there is one, has no reader any more
    message.removeAllListeners('data')
    message.on('data', count).on('end', done).on('close', done)
    message.resume()
  })
}
