import { LinkSocksError } from '../errors.js'
import { HandshakeTransport } from '../mux/handshake-transport.js'
import type { Clock, MessageTransport } from '../ports.js'
import { formatUuid, NIL_UUID } from '../protocol/channel-id.js'
import { parseHandshake } from '../protocol/handshake.js'
import { AUTH_TIMEOUT_MS, MAX_AUTH_MESSAGE_BYTES } from '../protocol/limits.js'
import { decodeMessage, encodeAuthResponse, MessageType } from '../protocol/messages.js'
import type { Role } from './relay-link.js'
import type { Token, TokenTable } from './tokens.js'

/** A WebSocket that asks to be admitted. */
export interface Knock {
  readonly transport: MessageTransport
  /** The query of the WebSocket handshake. */
  readonly query: URLSearchParams
  /** Called as soon as the peer has proven who it is: messages may be large from now on. */
  readonly admitted?: (() => void) | undefined
}

/** A peer that has proven to hold a token. */
export interface Admission {
  readonly transport: MessageTransport
  readonly token: Token
  readonly role: Role
  /** The instance UUID as text; `undefined` for a nil or missing one. */
  readonly instance: string | undefined
  readonly extensions: boolean
}

interface Claim {
  readonly token: Token | undefined
  readonly reverse: boolean | undefined
  readonly instance: Uint8Array
  readonly extensions: boolean
}

/**
 * Authenticates one link, in the URL form or the in-band form (docs/protocol.md A.2), and answers it.
 * @throws {LinkSocksError} ERR_AUTH_REJECTED, ERR_AUTH_TIMEOUT, ERR_LINK_LOST; the transport is closed then
 */
export async function authenticate(knock: Knock, tokens: TokenTable, clock: Clock): Promise<Admission> {
  const handshake = parseHandshake(knock.query)
  const transport = new HandshakeTransport(knock.transport)
  try {
    if (handshake.form === 'invalid') throw rejected(handshake.error)
    const claim =
      handshake.form === 'query'
        ? { ...handshake, reverse: handshake.reverse, token: tokens.findByHash(handshake.tokenHash) }
        : await readAuth(transport, tokens, clock, handshake.extensions)
    const admission = judge(claim)
    knock.admitted?.()
    const trailer = claim.extensions ? { keepsOrder: true } : undefined
    transport.send(encodeAuthResponse({ success: true, trailer }))
    return { ...admission, transport: transport.release() }
  } catch (thrown) {
    const error = LinkSocksError.from(thrown, 'ERR_AUTH_REJECTED')
    if (error.code === 'ERR_AUTH_REJECTED') transport.send(encodeAuthResponse({ success: false, error: error.message }))
    transport.close(1008, '')
    throw error
  }
}

async function readAuth(
  transport: HandshakeTransport,
  tokens: TokenTable,
  clock: Clock,
  extensions: boolean,
): Promise<Claim> {
  const late = new AbortController()
  const timer = clock.after(AUTH_TIMEOUT_MS, () => {
    late.abort(new LinkSocksError('ERR_AUTH_TIMEOUT', 'no Auth message came in time'))
  })
  try {
    const message = decodeAuth(await transport.next({ signal: late.signal }))
    return {
      token: tokens.find(message.token),
      reverse: message.reverse,
      instance: message.instance,
      extensions: extensions || message.trailer !== undefined,
    }
  } finally {
    timer.cancel()
  }
}

function decodeAuth(raw: Uint8Array) {
  if (raw.byteLength > MAX_AUTH_MESSAGE_BYTES) throw rejected('invalid auth message')
  try {
    const message = decodeMessage(raw)
    if (message?.type === MessageType.Auth) return message
  } catch (cause) {
    throw new LinkSocksError('ERR_AUTH_REJECTED', 'invalid auth message', { cause })
  }
  throw rejected('invalid auth message')
}

function judge({ token, reverse, instance, extensions }: Claim): Omit<Admission, 'transport'> {
  if (token === undefined || (reverse !== undefined && reverse !== (token.type === 'reverse'))) {
    throw rejected('invalid token')
  }
  const role = token.type === 'reverse' ? 'provider' : token.type
  const nil = instance.every((byte, index) => byte === NIL_UUID[index])
  return { token, role, instance: nil ? undefined : formatUuid(instance), extensions }
}

function rejected(reason: string): LinkSocksError {
  return new LinkSocksError('ERR_AUTH_REJECTED', reason)
}
