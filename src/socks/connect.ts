import { LinkSocksError } from '../errors.js'
import type { ByteStream, ProxyProtocol, Target } from '../ports.js'
import { pump } from '../streams/pump.js'
import { openFor, type SocksConnection, sourceOf } from './connection.js'

/** What a protocol answers a request to connect. */
export interface ConnectAnswers {
  readonly inbound: ProxyProtocol
  readonly succeeded: Uint8Array
  failed(error: LinkSocksError): Uint8Array
}

/**
 * CONNECT of any protocol: dials, answers, then joins the client and the far end, which go on by themselves. A client
 * that goes away meanwhile ends the dial; one that only half-closes does not, it may still read.
 * @throws {LinkSocksError} what the dial failed with, after it was answered
 */
export async function serveConnect(
  connection: SocksConnection,
  target: Target,
  { inbound, succeeded, failed }: ConnectAnswers,
): Promise<void> {
  const { handshake, closed } = connection
  let far: ByteStream
  try {
    far = await dial(connection, target, inbound)
  } catch (thrown) {
    const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
    handshake.write(failed(error))
    throw error
  }
  handshake.write(succeeded)
  pump(handshake.release(), far, closed)
}

/** The stream is never left behind when the client is gone, whatever the dialer makes of it. */
function dial({ handshake, options }: SocksConnection, target: Target, inbound: ProxyProtocol): Promise<ByteStream> {
  return openFor(handshake, async (signal) => {
    const far = await options.dialer.dial(target, { signal, source: sourceOf(options), inbound })
    if (!signal.aborted) return far
    far.abort(LinkSocksError.cancelled(signal))
    throw LinkSocksError.cancelled(signal)
  })
}
