import { LinkSocksError } from '../errors.js'
import type { Clock, Credentials } from '../ports.js'
import { Rep, repOf } from '../protocol/rep.js'
import type { HandshakeStream } from '../streams/handshake-stream.js'
import { serveAssociation } from './association.js'
import {
  Cmd,
  decodeMethods,
  decodeRequest,
  decodeUserPassword,
  encodeMethodChoice,
  encodeReply,
  encodeUserPasswordStatus,
  Method,
  type SocksRequest,
} from './codec.js'
import { type ConnectAnswers, serveConnect } from './connect.js'
import type { InboundRequest, ServeSocksOptions, SocksConnection } from './connection.js'
import { credentialsMatch } from './credentials.js'

const ANSWERS: ConnectAnswers = {
  inbound: 'socks5',
  // BND.ADDR would be an address of the exit's, which nobody here knows
  succeeded: encodeReply(Rep.Succeeded),
  failed: (error) => encodeReply(repOf(error)),
}

/**
 * Reads the request of one SOCKS5 client (RFC 1928, RFC 1929), from its greeting on. What goes wrong is answered first, then
 * thrown.
 * @throws {LinkSocksError} ERR_SOCKS_VERSION, ERR_SOCKS_METHOD, ERR_SOCKS_AUTH and those of a read
 */
export async function readSocks5(connection: SocksConnection): Promise<InboundRequest> {
  const request = await readRequest(connection)
  return { target: request.target, serve: () => serveRequest(connection, request) }
}

/** Everything up to the request; what goes wrong is answered first, then thrown. */
async function readRequest({ handshake, options }: SocksConnection): Promise<SocksRequest> {
  const methods = await handshake.read(decodeMethods)
  const method = chooseMethod(methods, options.credentials)
  handshake.write(encodeMethodChoice(method))
  if (method === Method.NoneAcceptable) throw new LinkSocksError('ERR_SOCKS_METHOD', 'no acceptable method offered')
  if (method === Method.UserPassword) await authenticate(handshake, options)
  try {
    return await handshake.read(decodeRequest)
  } catch (thrown) {
    handshake.write(encodeReply(repOf(LinkSocksError.from(thrown, 'ERR_SOCKS_MALFORMED'))))
    throw thrown
  }
}

/** With credentials only user/password will do. Without, "none" goes before user/password, which then accepts anything. */
function chooseMethod(methods: Uint8Array, credentials: Credentials | undefined): number {
  if (credentials === undefined && methods.includes(Method.None)) return Method.None
  return methods.includes(Method.UserPassword) ? Method.UserPassword : Method.NoneAcceptable
}

/** The sub-negotiation of RFC 1929. @throws {LinkSocksError} ERR_SOCKS_AUTH and those of a read, after status 0x01 was sent */
async function authenticate(handshake: HandshakeStream, options: ServeSocksOptions): Promise<void> {
  const { credentials } = options
  try {
    const given = await handshake.read(decodeUserPassword)
    if (credentials !== undefined && !credentialsMatch(credentials, given)) {
      await pause(options.clock, options.unauthorized?.() ?? 0)
      throw new LinkSocksError('ERR_SOCKS_AUTH', 'wrong user name or password')
    }
  } catch (thrown) {
    handshake.write(encodeUserPasswordStatus(false))
    throw thrown
  }
  handshake.write(encodeUserPasswordStatus(true))
}

/** A client that guesses waits; one that leaves meanwhile is written to in vain. */
function pause(clock: Clock, ms: number): Promise<void> | undefined {
  return ms > 0 ? new Promise((resolve) => void clock.after(ms, resolve)) : undefined
}

async function serveRequest(connection: SocksConnection, { cmd, target }: SocksRequest): Promise<void> {
  const { handshake, options } = connection
  if (cmd === Cmd.Connect) return serveConnect(connection, target, ANSWERS)
  if (cmd === Cmd.UdpAssociate && options.bindDatagrams !== undefined) {
    return serveAssociation(connection, target, options.bindDatagrams)
  }
  handshake.write(encodeReply(Rep.CommandNotSupported))
  throw new LinkSocksError('ERR_SOCKS_COMMAND', `command ${cmd} is not supported`)
}
