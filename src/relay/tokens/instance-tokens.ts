import { LinkSocksError } from '../../errors.js'
import { LeakyCount } from '../../leaky-count.js'
import type { Clock, Crypto, Timer } from '../../ports.js'
import {
  INSTANCE_RESERVATION_MS,
  MAX_CONNECTOR_TOKENS_PER_INSTANCE,
  MAX_CONNECTOR_TOKENS_PER_REVERSE_TOKEN,
} from '../../protocol/limits.js'
import { type ConnectorMessage, ConnectorOperation } from '../../protocol/messages.js'
import type { RelayClient } from '../clients/relay-client.js'
import type { TokenLifecycle } from './token-lifecycle.js'
import { checkToken, generateToken } from './token-text.js'
import { type ConnectorToken, newToken, type ReverseToken, type TokenTable } from './tokens.js'

/** Refused additions a tenant may have at once, and how fast it earns new ones: names must not be guessable. */
const MAX_REFUSALS = 10
const REFUSAL_RECOVERY_MS = 5_000

export interface InstanceTokensOptions {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly lifecycle: TokenLifecycle
}

/** The connector tokens that autonomy providers add and remove for themselves (docs/protocol.md A.5). */
export class InstanceTokens {
  readonly #tokens: TokenTable
  readonly #clock: Clock
  readonly #crypto: Crypto
  readonly #lifecycle: TokenLifecycle
  /** Instances whose last client is gone, by group: their tokens stay reserved until the timer fires. */
  readonly #reserved = new Map<string, Timer>()
  readonly #refusals = new WeakMap<ReverseToken, LeakyCount>()
  #closed = false

  constructor(tokens: TokenTable, { clock, crypto, lifecycle }: InstanceTokensOptions) {
    this.#tokens = tokens
    this.#clock = clock
    this.#crypto = crypto
    this.#lifecycle = lifecycle
  }

  /** Instances whose tokens are kept for their return. */
  get reservations(): number {
    return this.#reserved.size
  }

  /**
   * Carries out one Connector message of a provider.
   * @returns the token concerned; for an addition without one, the generated one
   * @throws {LinkSocksError} whose message goes to the provider
   */
  handle(tenant: ReverseToken, client: RelayClient, message: ConnectorMessage): ConnectorToken {
    // its clients are being closed: what they added now would outlive it
    if (!this.#tokens.has(tenant)) throw new LinkSocksError('ERR_TOKEN_NOT_FOUND', 'the token was removed')
    if (!tenant.autonomy) throw new LinkSocksError('ERR_TOKEN_AUTONOMY', 'Unauthorized connector management attempt')
    if (message.operation === ConnectorOperation.Add) return this.#add(tenant, client, message.token)
    if (message.operation === ConnectorOperation.Remove) return this.#remove(client, message.token)
    throw new LinkSocksError('ERR_MESSAGE_INVALID', `unknown connector operation ${message.operation}`)
  }

  /** A provider client came: its instance is back. */
  arrived(group: string): void {
    this.#reserved.get(group)?.cancel()
    this.#reserved.delete(group)
  }

  /** The last client of an instance is gone. An instance without a UUID cannot come back. */
  vanished(tenant: ReverseToken, group: string, returns: boolean): void {
    const owned = (): ConnectorToken[] => [...tenant.connectors].filter((token) => token.owner === group)
    if (owned().length === 0) return
    const free = (): void => {
      this.#reserved.delete(group)
      for (const token of owned()) void this.#lifecycle.drop(token)
    }
    if (returns && !this.#closed) this.#reserved.set(group, this.#clock.after(INSTANCE_RESERVATION_MS, free))
    else free()
  }

  /** Forgets every reservation, and makes no more. */
  close(): void {
    this.#closed = true
    for (const timer of this.#reserved.values()) timer.cancel()
    this.#reserved.clear()
  }

  #add(tenant: ReverseToken, client: RelayClient, wanted: string): ConnectorToken {
    const token = wanted === '' ? generateToken(this.#crypto) : wanted
    checkToken(token, 'connector token')
    const existing = this.#tokens.find(token)
    if (existing?.type === 'connector' && existing.owner === client.group && existing.reverse === tenant)
      return existing
    this.#checkRefusals(tenant)
    if (existing !== undefined) throw this.#refused(tenant, 'connector token already exists')
    this.#checkCount(tenant, client.group)
    const added: ConnectorToken = {
      type: 'connector',
      ...newToken(token, 'provider', this.#clock, this.#crypto),
      reverse: tenant,
      owner: client.group,
    }
    this.#tokens.add(added)
    void this.#lifecycle.added(added)
    return added
  }

  #remove(client: RelayClient, wanted: string): ConnectorToken {
    const token = this.#tokens.find(wanted)
    // somebody else's token and no token look the same
    if (token?.type !== 'connector' || token.owner !== client.group) {
      throw new LinkSocksError('ERR_TOKEN_NOT_FOUND', 'connector token not found')
    }
    // adding it again would switch it on
    if (!token.traits.enabled)
      throw new LinkSocksError('ERR_TOKEN_DISABLED', 'the operator has disabled this connector token')
    void this.#lifecycle.drop(token)
    return token
  }

  #checkCount(tenant: ReverseToken, group: string): void {
    const own = [...tenant.connectors].filter((token) => token.owner === group).length
    if (own >= MAX_CONNECTOR_TOKENS_PER_INSTANCE) {
      throw new LinkSocksError('ERR_LIMIT', `at most ${MAX_CONNECTOR_TOKENS_PER_INSTANCE} connector tokens a provider`)
    }
    if (tenant.connectors.size >= MAX_CONNECTOR_TOKENS_PER_REVERSE_TOKEN) {
      throw new LinkSocksError('ERR_LIMIT', 'too many connector tokens')
    }
  }

  #checkRefusals(tenant: ReverseToken): void {
    const refusals = this.#refusals.get(tenant)?.at(this.#clock.now()) ?? 0
    if (refusals >= MAX_REFUSALS) throw new LinkSocksError('ERR_LIMIT', 'too many refused tokens, try again later')
  }

  #refused(tenant: ReverseToken, reason: string): LinkSocksError {
    const refusals = this.#refusals.get(tenant) ?? new LeakyCount({ forgivenAfterMs: REFUSAL_RECOVERY_MS })
    this.#refusals.set(tenant, refusals)
    refusals.add(this.#clock.now())
    return new LinkSocksError('ERR_TOKEN_EXISTS', reason)
  }
}
