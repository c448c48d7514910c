import type { Socket } from 'node:net'
import { interleaveFamilies, raceConnect } from '../../exit/dial/race.js'
import type { AbortOptions, SocketAddress, Target } from '../../ports.js'
import { nodeResolve } from '../net/resolve.js'
import { connectSocket } from '../net/tcp-connect.js'
import { nodeClock } from '../system/clock.js'

/**
 * Addresses of `host` in the order in which they are to be tried (RFC 8305 section 4).
 * @throws {LinkSocksError} an ERR_DIAL_* code or the reason of `signal`
 */
export async function resolveHost({ host, port }: Target, { signal }: AbortOptions = {}): Promise<SocketAddress[]> {
  return interleaveFamilies(await nodeResolve(host, { signal })).map((address) => ({ host: address, port }))
}

/**
 * Connects a socket of Node to whichever address answers first (RFC 8305 section 5), as TLS and the WebSocket client need one.
 * @throws {LinkSocksError} an ERR_DIAL_* code or the reason of `signal`
 */
export async function connectToFirst(
  addresses: readonly SocketAddress[],
  { signal }: AbortOptions = {},
): Promise<Socket> {
  const { stream } = await raceConnect(addresses, { connectTcp: connectOne, clock: nodeClock, signal })
  return stream.socket
}

async function connectOne(address: SocketAddress, options: AbortOptions) {
  const socket = await connectSocket(address, options)
  // stays: an error between two steps must not be an uncaught one; whoever waits then sees 'close'
  socket.on('error', () => {})
  return { socket, abort: () => void socket.destroy() }
}
