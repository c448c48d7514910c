import { withDeadline } from '../../deadline.js'
import { LinkSocksError } from '../../errors.js'
import type { FailedAttempts } from '../../inbound/failed-attempts.js'
import type { Clock, MessageTransport } from '../../ports.js'
import { type Handshake, parseHandshake } from '../../protocol/handshake.js'
import { AUTH_TIMEOUT_MS, MAX_AUTH_MESSAGE_BYTES } from '../../protocol/limits.js'
import { decodeMessage, encodeAuthResponse, MessageType } from '../../protocol/messages.js'
import type { Trailer } from '../../protocol/trailer.js'
import { formatUuid, NIL_UUID } from '../../protocol/uuid.js'
import { HandshakeTransport } from '../../streams/handshake-transport.js'
import type { LinkOrigin, Role } from '../clients/relay-client.js'
import type { Refusals } from '../policies/policed-token.js'
import { strangerTo } from '../tokens/token-policies.js'
import { stateOf, type Token, type TokenTable } from '../tokens/tokens.js'
import type { LateTokens } from './late-tokens.js'

/** A WebSocket that asks to be admitted. */
export interface ConnectionAttempt {
  readonly transport: MessageTransport
  /** The query of the WebSocket handshake. */
  readonly query: URLSearchParams
  /** Called as soon as the peer has proven who it is: messages may be large from now on. */
  readonly admitted?: (() => void) | undefined
}

/** What a peer asks for that wants its session to survive the WebSocket (docs/protocol.md B.3). */
export interface ResumeWish {
  /** The session to go on with, a secret; `undefined` for a new one. */
  readonly id: Uint8Array | undefined
  /** Messages of that session that the peer has received. */
  readonly received: number
}

/** What authentication asks of the relay. */
export interface AuthenticationContext {
  readonly tokens: TokenTable
  readonly clock: Clock
  readonly attempts: FailedAttempts
  /** Whom a failure is counted against, by its address. */
  readonly origin: LinkOrigin
  /** Where a token may be about to come with its provider. @default it is there or it is not */
  readonly late?: LateTokens | undefined
  /** Hears of those that come from elsewhere than they may. @default nobody */
  readonly refusals?: Refusals | undefined
}

/** Who asks, once a token was proven. */
export interface Identity {
  readonly token: Token
  readonly role: Role
  /** The instance UUID as text; `undefined` for a nil or missing one. */
  readonly instance: string | undefined
  readonly extensions: boolean
  /** It may be of a release that spreads the messages of one channel over all its links (docs/protocol.md A.5). */
  readonly spreads: boolean
  /** It authenticated by an Auth message. */
  readonly inBand: boolean
  readonly resume: ResumeWish | undefined
  /** It can judge by policies (docs/protocol.md B.4). */
  readonly knowsPolicies: boolean
}

/** A peer that has proven to hold a token and waits for its answer. */
export interface Admission extends Identity {
  /** Answers with success; `trailer` goes to those who asked for extensions. */
  confirm(trailer: Trailer): MessageTransport
  /** Answers with a failure. */
  refuse(reason: string): void
  /** Ends it without an answer: the peer is to come again. */
  close(): void
  /** Aborted when the connection is gone; only for as long as it has no answer. */
  readonly gone: AbortSignal
}

interface AuthClaim {
  /** Where the table has the token, if there is one. */
  readonly key: string
  readonly reverse: boolean | undefined
  readonly instance: Uint8Array
  readonly extensions: boolean
  readonly spreads: boolean
  readonly inBand: boolean
  readonly resume: ResumeWish | undefined
  readonly knowsPolicies: boolean
}

/** Releases of this version byte keep a channel on one link. */
const ONE_LINK_A_CHANNEL = 0x01

/**
 * Authenticates one link, in the URL form or the in-band form (docs/protocol.md A.2), and answers it if it fails.
 * @throws {LinkSocksError} ERR_AUTH_REJECTED, ERR_TOKEN_DISABLED, ERR_AUTH_TIMEOUT, ERR_LINK_LOST; the transport is closed then
 */
export async function authenticate(attempt: ConnectionAttempt, context: AuthenticationContext): Promise<Admission> {
  const { tokens, clock } = context
  const handshake = parseHandshake(attempt.query)
  const transport = new HandshakeTransport(attempt.transport)
  try {
    if (handshake.form === 'invalid') throw rejected(handshake.error)
    const claim =
      handshake.form === 'query'
        ? claimOf(handshake, tokens)
        : await readAuth(transport, tokens, clock, handshake.extensions)
    const token = tokens.at(claim.key) ?? (await waitFor(claim, context.late, transport.gone))
    const identity = identify(claim, token, context)
    attempt.admitted?.()
    return {
      ...identity,
      confirm: (trailer) => {
        transport.send(encodeAuthResponse({ success: true, trailer: claim.extensions ? trailer : undefined }))
        return transport.release()
      },
      refuse: (reason) => refuse(transport, reason),
      close: () => transport.close(1001, ''),
      get gone() {
        return transport.gone
      },
    }
  } catch (thrown) {
    const error = LinkSocksError.from(thrown, 'ERR_AUTH_REJECTED')
    if (error.code === 'ERR_AUTH_REJECTED') await refuseLate(transport, error.message, context)
    else if (error.code === 'ERR_TOKEN_DISABLED') refuseKnown(transport, error.message, context)
    else transport.close(1008, '')
    throw error
  }
}

/**
 * Whom the query of a WebSocket request proves, before anything is upgraded; counts and answers nothing.
 * @returns `undefined` for the in-band form, and for what authenticate() is going to refuse
 */
export function identifyQuery(
  query: URLSearchParams,
  context: Pick<AuthenticationContext, 'tokens' | 'clock' | 'origin'>,
): Identity | undefined {
  const handshake = parseHandshake(query)
  if (handshake.form !== 'query') return undefined
  try {
    const claim = claimOf(handshake, context.tokens)
    return identify(claim, context.tokens.at(claim.key), context)
  } catch {
    return undefined
  }
}

function claimOf(handshake: Extract<Handshake, { form: 'query' }>, tokens: TokenTable): AuthClaim {
  const { tokenHash, reverse, instance, extensions, resumable, knowsPolicies } = handshake
  const resume = resumable ? { id: undefined, received: 0 } : undefined
  const key = tokens.keyOfHash(tokenHash)
  return { key, reverse, instance, extensions, spreads: !extensions, inBand: false, resume, knowsPolicies }
}

/** A provider waits for nobody: its token is an operator's. */
async function waitFor(
  { key, reverse }: AuthClaim,
  late: LateTokens | undefined,
  signal: AbortSignal,
): Promise<Token | undefined> {
  return reverse === true ? undefined : await late?.wait(key, { signal })
}

/** Who holds a token that is not to be used guesses nothing: it is told at once. */
function refuseKnown(transport: HandshakeTransport, reason: string, { attempts }: AuthenticationContext): void {
  attempts.count('disabled_token')
  refuse(transport, reason)
}

/** Answers a failure: whoever fails again and again waits for it. */
async function refuseLate(
  transport: HandshakeTransport,
  reason: string,
  { attempts, origin: { address }, clock }: AuthenticationContext,
): Promise<void> {
  const { delayMs, refused } = attempts.note(address, 'token')
  if (delayMs > 0) await new Promise<void>((resolve) => void clock.after(delayMs, resolve))
  refuse(transport, refused ? 'too many failed attempts, try again later' : reason)
}

function refuse(transport: HandshakeTransport, reason: string): void {
  transport.send(encodeAuthResponse({ success: false, error: reason }))
  transport.close(1008, '')
}

async function readAuth(
  transport: HandshakeTransport,
  tokens: TokenTable,
  clock: Clock,
  extensions: boolean,
): Promise<AuthClaim> {
  const raw = await withDeadline((signal) => transport.next({ signal }), {
    clock,
    timeoutMs: AUTH_TIMEOUT_MS,
    expired: () => new LinkSocksError('ERR_AUTH_TIMEOUT', 'no Auth message came in time'),
  })
  const message = decodeAuth(raw)
  const shown = extensions || message.trailer !== undefined
  return {
    key: tokens.keyOf(message.token),
    reverse: message.reverse,
    instance: message.instance,
    extensions: shown,
    spreads: !shown && raw[0] !== ONE_LINK_A_CHANNEL,
    inBand: true,
    resume: resumeWish(message.trailer),
    knowsPolicies: message.trailer?.knowsPolicies === true,
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

function resumeWish(trailer: Trailer | undefined): ResumeWish | undefined {
  if (trailer?.sessionId === undefined) return undefined
  return { id: isNil(trailer.sessionId) ? undefined : trailer.sessionId, received: trailer.received ?? 0 }
}

function identify(
  claim: AuthClaim,
  token: Token | undefined,
  { clock, origin, refusals }: Pick<AuthenticationContext, 'clock' | 'origin' | 'refusals'>,
): Identity {
  const { reverse, instance, extensions, spreads, inBand, resume, knowsPolicies } = claim
  if (token === undefined || (reverse !== undefined && reverse !== (token.type === 'reverse'))) {
    throw rejected('invalid token')
  }
  const refusal = strangerTo(token, origin)
  if (refusal !== undefined) {
    refusals?.refused(refusal)
    // it must not tell those who guess that they guessed right
    throw rejected('invalid token')
  }
  const state = stateOf(token, clock.wallTime())
  if (state !== 'active') {
    throw new LinkSocksError('ERR_TOKEN_DISABLED', `the token ${state === 'expired' ? 'has expired' : 'is disabled'}`)
  }
  const role = token.type === 'reverse' ? 'provider' : token.type
  const name = isNil(instance) ? undefined : formatUuid(instance)
  return { token, role, instance: name, extensions, spreads, inBand, resume, knowsPolicies }
}

function isNil(id: Uint8Array): boolean {
  return id.every((byte, index) => byte === NIL_UUID[index])
}

function rejected(reason: string): LinkSocksError {
  return new LinkSocksError('ERR_AUTH_REJECTED', reason)
}
