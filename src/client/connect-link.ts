import { LinkSocksError } from '../errors.js'
import { remoteText } from '../log.js'
import { HandshakeTransport } from '../mux/handshake-transport.js'
import type { AbortOptions, Clock, Crypto, MessageTransport } from '../ports.js'
import { handshakeUrl, parseServerUrl } from '../protocol/handshake.js'
import { ANONYMOUS_TOKEN, AUTH_TIMEOUT_MS } from '../protocol/limits.js'
import { type AuthResponseMessage, decodeMessage, encodeAuth, type Message, MessageType } from '../protocol/messages.js'
import { encodeUtf8 } from '../protocol/text.js'

/** Messages that a server may send before its AuthResponse: some send Partners first. */
const MAX_MESSAGES_BEFORE_ANSWER = 8

/**
 * Opens a WebSocket. `secretInBand`: the token will be the first message, so the connection must not end up elsewhere.
 * @throws {LinkSocksError} ERR_CONNECT, ERR_URL, ERR_CANCELLED
 */
export type OpenTransport = (
  url: string,
  options: AbortOptions & { readonly secretInBand: boolean },
) => Promise<MessageTransport>

export interface LinkCredentials {
  readonly url: string
  /** @default the reserved word `anonymous` */
  readonly token: string | undefined
  readonly reverse: boolean
  readonly instance: Uint8Array
  /** Send the token in the first message, not its hash in the URL. */
  readonly authInBand: boolean
}

export interface LinkSurroundings {
  readonly openTransport: OpenTransport
  readonly clock: Clock
  readonly crypto: Crypto
}

/** A WebSocket on which the server admitted us. */
export interface AdmittedLink {
  readonly transport: MessageTransport
  /** The server keeps order and early data: fast open is safe (trailer tag 0x11). */
  readonly keepsOrder: boolean
  /** The token that some servers give a client which has none; a secret. */
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
): Promise<AdmittedLink> {
  const server = parseServerUrl(credentials.url)
  const inBand = credentials.authInBand || server.form === 'in-band'
  const token = credentials.token ?? ANONYMOUS_TOKEN
  const { reverse, instance } = credentials
  const tokenHash = Array.from(crypto.sha256(encodeUtf8(token)), (byte) => byte.toString(16).padStart(2, '0')).join('')
  const url = inBand ? server.url : handshakeUrl(server.url, { tokenHash, reverse, instance, extensions: true })
  const transport = new HandshakeTransport(await openTransport(url, { secretInBand: inBand, signal }))
  try {
    if (inBand) transport.send(encodeAuth({ token, reverse, instance, trailer: {} }))
    const { answer, early } = await awaitAnswer(transport, clock, signal)
    if (!answer.success) throw rejected(answer.error ?? '', credentials.token)
    const assignedToken = credentials.token === undefined ? answer.token : undefined
    return { transport: transport.release(), keepsOrder: answer.trailer?.keepsOrder ?? false, assignedToken, early }
  } catch (error) {
    transport.abort()
    throw error
  }
}

async function awaitAnswer(
  transport: HandshakeTransport,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<{ readonly answer: AuthResponseMessage; readonly early: readonly Message[] }> {
  const late = new AbortController()
  const timer = clock.after(AUTH_TIMEOUT_MS, () => {
    late.abort(new LinkSocksError('ERR_AUTH_TIMEOUT', 'the server did not answer the authentication in time'))
  })
  const cancel = (): void => late.abort(signal?.reason)
  signal?.addEventListener('abort', cancel)
  if (signal?.aborted === true) cancel()
  try {
    const early: Message[] = []
    for (let count = 0; count < MAX_MESSAGES_BEFORE_ANSWER; count += 1) {
      const message = decodeMessage(await transport.next({ signal: late.signal }))
      if (message?.type === MessageType.AuthResponse) return { answer: message, early }
      if (message !== undefined) early.push(message)
    }
    throw new LinkSocksError('ERR_MESSAGE_INVALID', 'the server does not answer the authentication')
  } finally {
    timer.cancel()
    signal?.removeEventListener('abort', cancel)
  }
}

function rejected(reason: string, token: string | undefined): LinkSocksError {
  const shown = withoutSecrets(reason, token) || 'no reason given'
  return new LinkSocksError('ERR_AUTH_REJECTED', `the server refused the token: ${shown}`)
}

/** Hex long enough to be the token's hash, dashes included: the instance is a secret too. */
const HEX_SECRET = /[\da-f][\da-f-]{30,}[\da-f]/gi

/** A shorter token stands within ordinary words, and hiding it there would tell it. */
const SHORTEST_HIDDEN_TOKEN = 8

/** Some servers repeat the request's URL, with the hash of the token in it, in their error text. */
function withoutSecrets(text: string, token: string | undefined): string {
  const shown = text.replace(/\S*\?\S*/g, '[url]').replace(HEX_SECRET, '[hidden]')
  const hide = token !== undefined && token.length >= SHORTEST_HIDDEN_TOKEN
  return remoteText(hide ? shown.replaceAll(token, '[hidden]') : shown)
}
