import { LinkSocksError } from '../../errors.js'
import type { AccessList } from '../../exit/dial/access-rules.js'
import type { Session } from '../../mux/session.js'
import type { CompiledPolicy } from '../../policy/compiled-policy.js'
import type { Clock, Credentials, Crypto, TokenRecord } from '../../ports.js'
import { hex } from '../../protocol/hex.js'
import { encodeUtf8 } from '../../protocol/text.js'
import { tokenHash } from '../../protocol/token-hash.js'
import type { Providers } from '../clients/providers.js'
import type { RelayClient } from '../clients/relay-client.js'
import { newUse, type Policed, type TokenUse } from '../policies/policed-token.js'
import type { ReversePort } from '../reverse/reverse-port.js'
import type { TokenSource, TokenState } from './token-spec.js'
import { newId } from './token-text.js'

/** Tokens that one relay may have. */
export const MAX_TOKENS = 100_000

/** What an operator may give a token and change. */
export interface TokenTraits {
  readonly label: string | undefined
  readonly enabled: boolean
  /** Unix milliseconds from which on it is refused. */
  readonly expiresAt: number | undefined
  /** What the SOCKS port of a reverse token asks for; connections that are there already go on when it changes. */
  readonly credentials?: Credentials | undefined
  /** What it may be used for; connections that are there already go on when it changes. */
  readonly access?: AccessList | undefined
  readonly policy?: CompiledPolicy | undefined
}

export interface TokenBase {
  /** Random and public. */
  readonly id: string
  /** In the order of addition; 0 until it is in the table. */
  number: number
  readonly token: string
  readonly source: TokenSource
  /** Unix milliseconds. */
  readonly createdAt: number
  /** Replaced as a whole when an operator changes any of them. */
  traits: TokenTraits
  /** Authenticated living clients of this token itself. */
  readonly clients: Set<RelayClient>
  /** Those that lost their connection and may come back. */
  readonly suspended: Set<RelayClient>
  /** For the limits of its policy. */
  readonly use: TokenUse
}

export interface ForwardToken extends TokenBase {
  readonly type: 'forward'
}

/** A reverse token with all that depends on it: one tenant. */
export interface ReverseToken extends TokenBase {
  readonly type: 'reverse'
  readonly autonomy: boolean
  readonly providers: Providers
  readonly connectors: Set<ConnectorToken>
  /** Its SOCKS port; none for autonomy tokens. */
  port: ReversePort | undefined
}

export interface ConnectorToken extends TokenBase {
  readonly type: 'connector'
  readonly reverse: ReverseToken
  /** The provider instance that added it; `undefined` for an operator's token, which reaches every provider. */
  readonly owner: string | undefined
}

export type Token = ForwardToken | ReverseToken | ConnectorToken

/** A token that nobody uses yet. */
export function newToken(
  token: string,
  source: TokenSource,
  clock: Clock,
  crypto: Crypto,
  { label, enabled = true, expiresAt, access, policy }: Partial<TokenTraits> = {},
): TokenBase {
  const id = newId(crypto)
  const createdAt = clock.wallTime()
  return {
    ...{ id, number: 0, token, source, createdAt },
    traits: { label, enabled, expiresAt, access, policy },
    clients: new Set(),
    suspended: new Set(),
    use: newUse(clock, id, createdAt),
  }
}

/** Whose policies hold for what is done with `token`. */
export function policedOf(token: Token): Policed {
  return token.type === 'connector' ? [token, token.reverse] : [token]
}

/** What a store keeps of a token. */
export function recordOf(token: Token): TokenRecord {
  const { id, type, createdAt } = token
  const { label, enabled, expiresAt, access, policy: compiled } = token.traits
  const limits = { rules: access?.rules, policy: compiled?.policy }
  return { id, type, token: token.token, createdAt, label, enabled, expiresAt, ...limits, ...detailsOf(token) }
}

function detailsOf(token: Token): Partial<TokenRecord> {
  if (token.type === 'forward') return {}
  if (token.type === 'connector') return { reverseToken: token.reverse.token }
  const { autonomy, port, traits } = token
  return { autonomy, port: port?.port, ...traits.credentials }
}

/** Whether `token` may be used at `time` (Unix milliseconds), and if not, why. A reverse token takes its connector tokens along. */
export function stateOf(token: Token, time: number): TokenState {
  const { enabled, expiresAt } = token.traits
  if (!enabled) return 'disabled'
  if (expiresAt !== undefined && expiresAt <= time) return 'expired'
  return token.type === 'connector' ? stateOf(token.reverse, time) : 'active'
}

/** All tokens of a relay, found by name, by hash or by id. */
export class TokenTable {
  readonly #crypto: Crypto
  readonly #tokens = new Map<string, Token>()
  readonly #ids = new Map<string, Token>()
  /** Names of tokens about to be added. */
  readonly #reserved = new Set<string>()
  #last = 0

  constructor(crypto: Crypto) {
    this.#crypto = crypto
  }

  /** In the order in which they were added. */
  all(): Iterable<Token> {
    return this.#tokens.values()
  }

  /** How many there are of each type. */
  get counts(): Record<Token['type'], number> {
    const counts = { forward: 0, reverse: 0, connector: 0 }
    for (const { type } of this.#tokens.values()) counts[type] += 1
    return counts
  }

  get size(): number {
    return this.#tokens.size
  }

  byId(id: string): Token | undefined {
    return this.#ids.get(id)
  }

  /** By the text of the token. */
  find(token: string): Token | undefined {
    return this.at(this.keyOf(token))
  }

  /** By {@link keyOf} or {@link keyOfHash}. */
  at(key: string): Token | undefined {
    return this.#tokens.get(key)
  }

  /** Whether it has not been removed. */
  has(token: Token): boolean {
    return this.find(token.token) === token
  }

  /** @throws {LinkSocksError} ERR_TOKEN_EXISTS, ERR_LIMIT */
  add(token: Token): void {
    const key = this.keyOf(token.token)
    this.#checkFree(token.token, key)
    this.#tokens.set(key, token)
    this.#ids.set(token.id, token)
    this.#last += 1
    token.number = this.#last
    if (token.type === 'connector') token.reverse.connectors.add(token)
  }

  /** @throws {LinkSocksError} ERR_TOKEN_EXISTS, ERR_LIMIT */
  checkFree(token: string): void {
    this.#checkFree(token, this.keyOf(token))
  }

  #checkFree(token: string, key: string): void {
    if (this.#tokens.has(key) || this.#reserved.has(token))
      throw new LinkSocksError('ERR_TOKEN_EXISTS', 'token already exists')
    if (this.#tokens.size + this.#reserved.size >= MAX_TOKENS)
      throw new LinkSocksError('ERR_LIMIT', `more than ${MAX_TOKENS} tokens`)
  }

  /**
   * Keeps a name free until `release` is called.
   * @throws {LinkSocksError} ERR_TOKEN_EXISTS, ERR_LIMIT
   */
  reserve(token: string): { readonly release: () => void } {
    this.checkFree(token)
    this.#reserved.add(token)
    return { release: () => void this.#reserved.delete(token) }
  }

  /** @returns whether it was there. */
  remove(token: Token): boolean {
    const key = this.keyOf(token.token)
    // a later token may have the same name
    if (this.#tokens.get(key) !== token) return false
    if (token.type === 'connector') token.reverse.connectors.delete(token)
    this.#ids.delete(token.id)
    return this.#tokens.delete(key)
  }

  /** Where a token of this text is, or would be. */
  keyOf(token: string): string {
    return this.keyOfHash(tokenHash(token, this.#crypto))
  }

  /**
   * The same by the lowercase hex SHA-256 of the token, which is a credential itself: hashing it again keeps the time of a look-up from
   * telling how close a guess was.
   */
  keyOfHash(hash: string): string {
    return hex(this.#crypto.sha256(encodeUtf8(hash)))
  }
}

/** Living and suspended. */
export function sessionsOf(token: Token): Session[] {
  return [...token.clients, ...token.suspended].map((client) => client.session)
}
