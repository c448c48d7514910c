import type { ByteStream, ByteStreamHandler } from '../ports.js'

/**
 * Joins two streams until both are gone: data, half-close, orderly end and reset pass in both directions, and each
 * side is read only as fast as the other takes the bytes.
 */
export function pump(a: ByteStream, b: ByteStream): void {
  a.start(into(b))
  b.start(into(a))
}

function into(to: ByteStream): ByteStreamHandler {
  return {
    data: (chunk) => to.write(chunk),
    end: () => to.end(),
    // what left the one stream had been delivered by the other
    written: (bytes) => to.consume(bytes),
    close: (error) => (error === undefined ? to.close() : to.abort(error)),
  }
}
