import { LinkSocksError } from '../errors.js'
import type { ByteStream, Target } from '../ports.js'
import { Rep, repOf } from '../protocol/rep.js'
import { pump } from '../streams/pump.js'
import { encodeReply } from './codec.js'
import { openFor, type SocksConnection, sourceOf } from './connection.js'

// BND.ADDR would be an address of the exit's, which nobody here knows
const SUCCEEDED = encodeReply(Rep.Succeeded)

/**
 * CONNECT (RFC 1928 section 4): dials, answers, then joins the client and the far end, which go on by themselves. A client
 * that goes away meanwhile ends the dial; one that only half-closed does not, it may still read.
 * @throws {LinkSocksError} what the dial failed with, after it was answered
 */
export async function serveConnect(connection: SocksConnection, target: Target): Promise<void> {
  const { handshake, closed } = connection
  let far: ByteStream
  try {
    far = await dial(connection, target)
  } catch (thrown) {
    const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
    handshake.write(encodeReply(repOf(error)))
    throw error
  }
  handshake.write(SUCCEEDED)
  pump(handshake.release(), far, closed)
}

/** The stream is never left behind when the client is gone, whatever the dialer makes of it. */
function dial({ handshake, options }: SocksConnection, target: Target): Promise<ByteStream> {
  return openFor(handshake, async (signal) => {
    const far = await options.dialer.dial(target, { signal, source: sourceOf(options) })
    if (!signal.aborted) return far
    far.abort(LinkSocksError.cancelled(signal))
    throw LinkSocksError.cancelled(signal)
  })
}
