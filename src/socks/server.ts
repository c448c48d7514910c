import { LinkSocksError } from '../errors.js'
import { remoteText } from '../log.js'
import type { ByteStream, Target } from '../ports.js'
import { Rep, repOf } from '../protocol/rep.js'
import { HandshakeStream } from '../streams/handshake-stream.js'
import { serveAssociation } from './association.js'
import {
  Cmd,
  decodeRequest,
  decodeUserPassword,
  encodeMethodChoice,
  encodeReply,
  encodeUserPasswordStatus,
  MAX_SOCKS_MESSAGE_BYTES,
  Method,
  type SocksRequest,
} from './codec.js'
import { serveConnect } from './connect.js'
import {
  flushAndClose,
  type ServeSocksOptions,
  SOCKS_HANDSHAKE_TIMEOUT_MS,
  type SocksConnection,
} from './connection.js'
import { credentialsMatch, type SocksCredentials } from './credentials.js'
import { decodeGreeting, HTTP_REJECTED, SOCKS4_REJECTED } from './greeting.js'

export { type ServeSocksOptions, SOCKS_FLUSH_TIMEOUT_MS, SOCKS_HANDSHAKE_TIMEOUT_MS } from './connection.js'

/**
 * Serves one SOCKS5 client (RFC 1928, RFC 1929) on `stream`, from its first byte until it is gone. Every request gets an
 * answer; a client that speaks SOCKS4 or HTTP is told so. Never rejects: failures are logged. `options.signal` resets the
 * connection at any time.
 */
export async function serveSocks(stream: ByteStream, options: ServeSocksOptions): Promise<void> {
  const handshake = new HandshakeStream(stream, { maxMessageBytes: MAX_SOCKS_MESSAGE_BYTES })
  const unfollow = follow(handshake, options.signal)
  await serve({ handshake, options })
  await handshake.closed
  unfollow()
}

/** Aborts the connection with the caller's signal until the function returned is called. What waits for it then fails. */
function follow(handshake: HandshakeStream, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return () => {}
  const onAbort = (): void => handshake.abort(LinkSocksError.cancelled(signal))
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort)
  return () => signal.removeEventListener('abort', onAbort)
}

async function serve(connection: SocksConnection): Promise<void> {
  const { handshake, options } = connection
  const { clock, log, remoteAddress, handshakeTimeoutMs = SOCKS_HANDSHAKE_TIMEOUT_MS } = options
  const deadline = clock.after(handshakeTimeoutMs, () => {
    handshake.abort(new LinkSocksError('ERR_SOCKS_TIMEOUT', `no whole SOCKS5 request within ${handshakeTimeoutMs} ms`))
  })
  let target: Target | undefined
  try {
    const request = await readRequest(connection)
    target = request.target
    deadline.cancel()
    options.requested?.()
    await serveRequest(connection, request)
  } catch (thrown) {
    deadline.cancel()
    const { code, message } = LinkSocksError.from(thrown, 'ERR_SOCKS_MALFORMED')
    // a client that left, or was told to, is no failure of ours
    const level = code === 'ERR_STREAM_RESET' || code === 'ERR_CANCELLED' ? 'debug' : 'info'
    log[level]('socks.failed', {
      client: remoteAddress.host,
      target: target && targetText(target),
      code,
      error: message,
    })
    await flushAndClose(handshake, clock)
  }
}

/** Everything up to the request; what goes wrong is answered first, then thrown. */
async function readRequest({ handshake, options }: SocksConnection): Promise<SocksRequest> {
  const greeting = await handshake.read(decodeGreeting)
  if (greeting.speaks !== 'socks5') {
    handshake.write(greeting.speaks === 'http' ? HTTP_REJECTED : SOCKS4_REJECTED)
    throw new LinkSocksError('ERR_SOCKS_VERSION', `the client speaks ${greeting.speaks === 'http' ? 'HTTP' : 'SOCKS4'}`)
  }
  const method = chooseMethod(greeting.methods, options.credentials)
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
function chooseMethod(methods: Uint8Array, credentials: SocksCredentials | undefined): number {
  if (credentials === undefined && methods.includes(Method.None)) return Method.None
  return methods.includes(Method.UserPassword) ? Method.UserPassword : Method.NoneAcceptable
}

/** The sub-negotiation of RFC 1929. @throws {LinkSocksError} ERR_SOCKS_AUTH and those of a read, after status 0x01 was sent */
async function authenticate(handshake: HandshakeStream, options: ServeSocksOptions): Promise<void> {
  const { credentials } = options
  try {
    const given = await handshake.read(decodeUserPassword)
    if (credentials !== undefined && !credentialsMatch(credentials, given)) {
      options.unauthorized?.()
      throw new LinkSocksError('ERR_SOCKS_AUTH', 'wrong user name or password')
    }
  } catch (thrown) {
    handshake.write(encodeUserPasswordStatus(false))
    throw thrown
  }
  handshake.write(encodeUserPasswordStatus(true))
}

async function serveRequest(connection: SocksConnection, { cmd, target }: SocksRequest): Promise<void> {
  const { handshake, options } = connection
  if (cmd === Cmd.Connect) return serveConnect(connection, target)
  if (cmd === Cmd.UdpAssociate && options.bindDatagrams !== undefined) {
    return serveAssociation(connection, target, options.bindDatagrams)
  }
  handshake.write(encodeReply(Rep.CommandNotSupported))
  throw new LinkSocksError('ERR_SOCKS_COMMAND', `command ${cmd} is not supported`)
}

function targetText({ host, port }: Target): string {
  return host.includes(':') ? `[${remoteText(host)}]:${port}` : `${remoteText(host)}:${port}`
}
