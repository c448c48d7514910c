import { LinkSocksError } from '../errors.js'
import { Cd, Cd4Reply, decodeSocks4Request, encodeSocks4Reply, type Socks4Request } from './codec4.js'
import { type ConnectAnswers, serveConnect } from './connect.js'
import type { InboundRequest, SocksConnection } from './connection.js'

const REJECTED = encodeSocks4Reply(Cd4Reply.Rejected)

const ANSWERS: ConnectAnswers = {
  inbound: 'socks4',
  succeeded: encodeSocks4Reply(Cd4Reply.Granted),
  // it has one answer for all that can go wrong
  failed: () => REJECTED,
}

/**
 * Reads the request of one SOCKS4 or SOCKS4a client: CONNECT alone, and nothing where a password is asked for, for which the
 * protocol has no field. What goes wrong is answered first, then thrown.
 * @throws {LinkSocksError} ERR_SOCKS_AUTH, ERR_SOCKS_COMMAND and those of a read
 */
export async function readSocks4(connection: SocksConnection): Promise<InboundRequest> {
  const { handshake, options } = connection
  try {
    const { cd, target } = await handshake.read(decodeSocks4Request)
    checkAllowed(cd, options.credentials !== undefined)
    return { target, serve: () => serveConnect(connection, target, ANSWERS) }
  } catch (thrown) {
    handshake.write(REJECTED)
    throw thrown
  }
}

function checkAllowed(cd: Socks4Request['cd'], password: boolean): void {
  if (password) throw new LinkSocksError('ERR_SOCKS_AUTH', 'SOCKS4 has no password: use SOCKS5 or HTTP')
  if (cd !== Cd.Connect) throw new LinkSocksError('ERR_SOCKS_COMMAND', `command ${cd} is not supported`)
}
