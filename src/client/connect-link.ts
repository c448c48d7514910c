import { withDeadline } from '../deadline.js'
import { LinkSocksError } from '../errors.js'
import { remoteText } from '../log.js'
import type { AbortOptions, Clock, Crypto, MessageTransport } from '../ports.js'
import { handshakeUrl, parseServerUrl } from '../protocol/handshake.js'
import { ANONYMOUS_TOKEN, AUTH_TIMEOUT_MS } from '../protocol/limits.js'
import {
  type AuthResponseMessage,
  decodeMessage,
  encodeAuth,
  type Message,
  MessageType,
  messageType,
} from '../protocol/messages.js'
import { tokenHash } from '../protocol/token-hash.js'
import { NIL_UUID } from '../protocol/uuid.js'
import { redactReason } from '../redact.js'
import { HandshakeTransport } from '../streams/handshake-transport.js'

/** Messages that a server may send before its AuthResponse: some send Partners first. */
const MAX_MESSAGES_BEFORE_ANSWER = 8

/**
 * Opens a WebSocket. `secretInBand`: the token will be the first message, so the connection must not end up elsewhere.
 * @throws {LinkSocksError} ERR_CONNECT, ERR_URL, ERR_CANCELLED
 */
export type OpenTransport = (
  url: string,
  options: AbortOptions & {
    readonly secretInBand: boolean
    /** Called when the server is on another host than the URL says. */
    readonly moved?: () => void
  },
) => Promise<MessageTransport>

/** What a client needs to go on with a session. */
export interface Ticket {
  /** The server that knows it. */
  readonly url: string
  /** A secret. */
  readonly id: Uint8Array
  /** With which the session began: its id is good with no other. A secret. */
  readonly token: string | undefined
  /** Messages received so far. */
  readonly received: number
}

export interface LinkCredentials {
  readonly url: string
  /** @default the reserved word `anonymous` */
  readonly token: string | undefined
  readonly reverse: boolean
  readonly instance: Uint8Array
  /** Send the token in the first message, not its hash in the URL. */
  readonly authInBand: boolean
  /** Ask for a session that survives its WebSocket (docs/protocol.md B.3). */
  readonly resumable: boolean
  /** Go on with this one. It is known to its own server only, and goes there in the first message. */
  readonly ticket?: Ticket | undefined
}

export interface LinkSurroundings {
  readonly openTransport: OpenTransport
  readonly clock: Clock
  readonly crypto: Crypto
}

/** A WebSocket on which the server admitted us. */
export interface Admitted {
  /** Of the server, as it was given. */
  readonly url: string
  /** That was shown to it; a secret. */
  readonly token: string | undefined
  /** It was redirected to another host, which the first message of a later connection would not follow: no coming back. */
  readonly elsewhere: boolean
  readonly transport: MessageTransport
  /** The session survives its WebSocket under this id, a secret. */
  readonly sessionId: Uint8Array | undefined
  /** The session of the ticket goes on, behind so many messages that the server received. */
  readonly received: number | undefined
  /** The server keeps order and early data: fast open is safe (trailer tag 0x11). */
  readonly keepsOrder: boolean
  /** The token that some servers give a client for its next handshakes, if it is not the one that was shown; a secret. */
  readonly assignedToken: string | undefined
  /** What the server sent before its answer. */
  readonly early: readonly Message[]
}

/**
 * Connects and authenticates one link (docs/protocol.md A.2).
 * @throws {LinkSocksError} ERR_AUTH_REJECTED, ERR_AUTH_TIMEOUT, ERR_LINK_LOST, and what OpenTransport throws
 */
export async function connectLink(
  credentials: LinkCredentials,
  { openTransport, clock, crypto }: LinkSurroundings,
  { signal }: AbortOptions = {},
): Promise<Admitted> {
  const server = parseServerUrl(credentials.url)
  const { reverse, instance, resumable } = credentials
  const ticket = credentials.ticket?.url === credentials.url ? credentials.ticket : undefined
  const inBand = credentials.authInBand || server.form === 'in-band' || ticket !== undefined
  const token = credentials.token ?? ANONYMOUS_TOKEN
  const url = inBand
    ? server.url
    : handshakeUrl(server.url, {
        tokenHash: tokenHash(token, crypto),
        ...{ reverse, instance, extensions: true, resumable, knowsPolicies: reverse },
      })
  let elsewhere = false
  const moved = (): void => {
    elsewhere = true
  }
  const transport = new HandshakeTransport(await openTransport(url, { secretInBand: inBand, moved, signal }))
  try {
    const sessionId = ticket?.id ?? (resumable ? NIL_UUID : undefined)
    const trailer = { sessionId, received: ticket?.received, knowsPolicies: reverse || undefined }
    if (inBand) transport.send(encodeAuth({ token, reverse, instance, trailer }))
    const { answer, early } = await awaitAnswer(transport, clock, signal)
    if (!answer.success) throw rejected(answer.error ?? '', credentials.token)
    const assignedToken = answer.token === credentials.token ? undefined : answer.token
    const told = answer.trailer
    return {
      url: credentials.url,
      token: credentials.token,
      elsewhere,
      transport: transport.release(),
      sessionId: resumable ? told?.sessionId : undefined,
      received: ticket === undefined ? undefined : told?.received,
      keepsOrder: told?.keepsOrder ?? false,
      assignedToken,
      early,
    }
  } catch (error) {
    transport.abort()
    throw error
  }
}

interface Answered {
  readonly answer: AuthResponseMessage
  readonly early: readonly Message[]
}

function awaitAnswer(transport: HandshakeTransport, clock: Clock, signal: AbortSignal | undefined): Promise<Answered> {
  return withDeadline((late) => readAnswer(transport, late), {
    clock,
    timeoutMs: AUTH_TIMEOUT_MS,
    signal,
    expired: () => new LinkSocksError('ERR_AUTH_TIMEOUT', 'the server did not answer the authentication in time'),
  })
}

async function readAnswer(transport: HandshakeTransport, signal: AbortSignal): Promise<Answered> {
  const early: Message[] = []
  for (let count = 0; count < MAX_MESSAGES_BEFORE_ANSWER; count += 1) {
    const message = readEarly(await transport.next({ signal }))
    if (message?.type === MessageType.AuthResponse) return { answer: message, early }
    if (message !== undefined) early.push(message)
  }
  throw new LinkSocksError('ERR_MESSAGE_INVALID', 'the server does not answer the authentication')
}

/**
 * A message before or at the answer. As in a session, a broken one costs nothing but itself; the answer has to be whole.
 * @throws {LinkSocksError} ERR_MESSAGE_VERSION, ERR_MESSAGE_TRUNCATED
 */
function readEarly(raw: Uint8Array): Message | undefined {
  if (messageType(raw) === MessageType.AuthResponse) return decodeMessage(raw)
  try {
    return decodeMessage(raw)
  } catch {
    return undefined
  }
}

function rejected(reason: string, token: string | undefined): LinkSocksError {
  const shown = remoteText(redactReason(reason, token)) || 'no reason given'
  return new LinkSocksError('ERR_AUTH_REJECTED', `the server refused the token: ${shown}`)
}
