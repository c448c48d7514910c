import { LinkSocksError } from '../errors.js'
import type { Crypto } from '../ports.js'
import { encodeUtf8 } from '../protocol/text.js'
import type { ProviderPool } from './provider-pool.js'
import type { RelayLink } from './relay-link.js'
import type { ReversePort } from './reverse-port.js'
import { hex, tokenHash } from './token-text.js'

/** Tokens that one relay may have. */
export const MAX_TOKENS = 100_000

interface TokenBase {
  readonly token: string
  /** Authenticated living links of this token itself. */
  readonly links: Set<RelayLink>
  /** Those that lost their connection and may come back. */
  readonly suspended: Set<RelayLink>
}

export interface ForwardToken extends TokenBase {
  readonly type: 'forward'
}

/** A reverse token with all that depends on it: one tenant. */
export interface ReverseToken extends TokenBase {
  readonly type: 'reverse'
  readonly autonomy: boolean
  readonly providers: ProviderPool
  readonly connectors: Set<ConnectorToken>
  /** Its SOCKS port; none for autonomy tokens. */
  readonly port: ReversePort | undefined
}

export interface ConnectorToken extends TokenBase {
  readonly type: 'connector'
  readonly reverse: ReverseToken
  /** The provider instance that added it; `undefined` for an operator's token, which reaches every provider. */
  readonly owner: string | undefined
}

export type Token = ForwardToken | ReverseToken | ConnectorToken

/** All tokens of a relay, found by name or by hash. */
export class TokenTable {
  readonly #crypto: Crypto
  readonly #tokens = new Map<string, Token>()

  constructor(crypto: Crypto) {
    this.#crypto = crypto
  }

  /** In the order in which they were added. */
  all(): Iterable<Token> {
    return this.#tokens.values()
  }

  /** By the text of the token. */
  find(token: string): Token | undefined {
    return this.findByHash(tokenHash(token, this.#crypto))
  }

  /** By the lowercase hex SHA-256 of the token. */
  findByHash(hash: string): Token | undefined {
    return this.#tokens.get(this.#key(hash))
  }

  /** Whether it has not been removed. */
  has(token: Token): boolean {
    return this.find(token.token) === token
  }

  /** @throws {LinkSocksError} ERR_TOKEN_EXISTS, ERR_LIMIT */
  add(token: Token): void {
    this.checkFree(token.token)
    this.#tokens.set(this.#key(tokenHash(token.token, this.#crypto)), token)
    if (token.type === 'connector') token.reverse.connectors.add(token)
  }

  /** @throws {LinkSocksError} ERR_TOKEN_EXISTS, ERR_LIMIT */
  checkFree(token: string): void {
    if (this.find(token) !== undefined) throw new LinkSocksError('ERR_TOKEN_EXISTS', 'token already exists')
    if (this.#tokens.size >= MAX_TOKENS) throw new LinkSocksError('ERR_LIMIT', `more than ${MAX_TOKENS} tokens`)
  }

  /** @returns whether it was there. */
  remove(token: Token): boolean {
    const key = this.#key(tokenHash(token.token, this.#crypto))
    // a later token may have the same name
    if (this.#tokens.get(key) !== token) return false
    if (token.type === 'connector') token.reverse.connectors.delete(token)
    return this.#tokens.delete(key)
  }

  /** The hash is a credential itself: hashing it again keeps the time of a look-up from telling how close a guess was. */
  #key(hash: string): string {
    return hex(this.#crypto.sha256(encodeUtf8(hash)))
  }
}
