import { LinkSocksError } from '../../errors.js'
import { type Logger, remoteText } from '../../log.js'
import type { Clock, Crypto, TokenChanges, TokenRecord, TokenStore } from '../../ports.js'
import { createProviders } from '../clients/providers.js'
import type { Alarms } from '../observe/alarms.js'
import { newUse } from '../policies/policed-token.js'
import { DormantTokens } from './dormant-tokens.js'
import type { ServerAccess, ServerAccessChange } from './server-access.js'
import type { SocksPorts } from './socks-ports.js'
import { changedRecord, checkPort, credentialsOf, storedTraits, traitsOf } from './token-checks.js'
import type { TokenLifecycle } from './token-lifecycle.js'
import { checkRecordSize } from './token-record.js'
import type { AddedToken, ReverseTokenSpec, TokenChange, TokenSource, TokenSpec } from './token-spec.js'
import { checkToken, generateToken } from './token-text.js'
import { newToken, type ReverseToken, recordOf, type Token, type TokenBase, type TokenTable } from './tokens.js'
import type { UsageKeeper } from './usage-keeper.js'

export interface TokenDeskOptions {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly log: Logger
  readonly store: TokenStore
  readonly ports: SocksPorts
  readonly alarms: Alarms
  readonly lifecycle: TokenLifecycle
  readonly access: ServerAccess
  readonly usage: Pick<UsageKeeper, 'load'>
}

/**
 * Where operators add, change and remove tokens: one after the other, for each must see what the one before left, and first in
 * the store, so that a token that was acknowledged is there after a crash.
 */
export class TokenDesk {
  readonly #tokens: TokenTable
  readonly #options: TokenDeskOptions
  readonly #dormant = new DormantTokens()
  #last: Promise<unknown> = Promise.resolve()
  #loaded = false
  #closed = false

  constructor(tokens: TokenTable, options: TokenDeskOptions) {
    this.#tokens = tokens
    this.#options = options
  }

  /**
   * Begins with the tokens of the command line and those of the store, of which some give way.
   * @throws {LinkSocksError} ERR_STORE, and as add()
   */
  restore(specs: readonly TokenSpec[]): Promise<void> {
    return this.#inTurn(async () => {
      this.#dormant.giveWayTo(specs.map(({ token }) => token))
      for (const spec of specs) await this.#add(spec, 'command-line')
      for (const record of this.#dormant.all) await this.#restore(record)
      // a connector token may stand before its reverse token, if that was removed once
      for (const record of this.#dormant.all) await this.#restore(record)
      for (const record of this.#dormant.all) this.#warnOfSleeping(record)
    })
  }

  /** @throws {LinkSocksError} see TokenAdmin.addToken */
  add(spec: TokenSpec): Promise<AddedToken> {
    return this.#inTurn(() => this.#add(spec, 'api'))
  }

  /** @throws {LinkSocksError} see RelayAdmin.changeToken */
  change(id: string, change: TokenChange): Promise<Token> {
    return this.#inTurn(async () => {
      const token = this.#known(this.#tokens.byId(id))
      const record = changedRecord(token, change, this.#options.clock.wallTime())
      if (token.source === 'api') {
        checkRecordSize(record)
        await this.#write({ put: [record] })
      }
      // it may have gone meanwhile with the provider that brought it
      this.#known(this.#tokens.byId(id))
      const traits = traitsOf(record, undefined, token.traits.policy)
      token.traits = { ...traits, credentials: credentialsOf(record) }
      await this.#options.lifecycle.changed(token)
      return token
    })
  }

  /** @throws {LinkSocksError} see TokenAdmin.removeToken */
  remove(find: () => Token | undefined): Promise<Token> {
    return this.#inTurn(async () => {
      const token = this.#known(find())
      const stored = [token, ...(token.type === 'reverse' ? token.connectors : [])]
      const twins = stored.flatMap(({ token: text }) => this.#dormant.find(text) ?? [])
      // with a later reverse token of this name they would come back
      const orphans = token.type === 'reverse' ? this.#dormant.dependingOn(token.token) : []
      const sleeping = new Set([...twins, ...orphans])
      const ids = [...stored.filter(({ source }) => source === 'api'), ...sleeping].map(({ id }) => id)
      if (ids.length > 0) await this.#write({ remove: ids })
      for (const record of sleeping) this.#dormant.forget(record)
      await this.#options.lifecycle.drop(token)
      return token
    })
  }

  /** @throws {LinkSocksError} see RelayAdmin.changeAccess */
  changeAccess(change: ServerAccessChange): Promise<void> {
    return this.#inTurn(async () => {
      const access = this.#options.access.after(change)
      await this.#write({ access })
      this.#options.access.apply(change, access)
    })
  }

  /**
   * Refuses what is still to be done; settles when nothing is being done any more and the store is closed.
   * @param last is done before the store is closed
   */
  async close(last: () => Promise<void> = async () => {}): Promise<void> {
    this.#closed = true
    await this.#last
    await last()
    await this.#options.store.close()
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => {
      this.#checkOpen()
      if (!this.#loaded) await this.#load()
      return action()
    })
    this.#last = done.catch(() => {})
    return done
  }

  /** What the store has sleeps until it is restored: a token that is added before takes the place of one of its name. */
  async #load(): Promise<void> {
    this.#options.access.restore(await this.#options.store.loadAccess())
    await this.#options.usage.load()
    for (const record of await this.#options.store.load()) this.#dormant.add(record)
    this.#loaded = true
  }

  async #add(spec: TokenSpec, source: TokenSource): Promise<AddedToken> {
    const { clock, crypto } = this.#options
    const text = spec.token ?? generateToken(crypto)
    checkToken(text)
    const traits = traitsOf(spec, clock.wallTime())
    const reservation = this.#tokens.reserve(text)
    try {
      const token = await this.#build(newToken(text, source, clock, crypto, traits), spec)
      this.#checkOpen()
      if (source === 'api') await this.#store(token)
      reservation.release()
      await this.#enter(token)
      // at the next start they would be there again
      if (source === 'api') for (const record of this.#dormant.dependingOn(text)) await this.#restore(record)
      return { id: token.id, token: text, port: token.type === 'reverse' ? token.port?.port : undefined }
    } finally {
      reservation.release()
    }
  }

  async #build(base: TokenBase, spec: TokenSpec): Promise<Token> {
    if (spec.type === 'forward') return { ...base, type: 'forward' }
    if (spec.type === 'connector') return { ...base, type: 'connector', ...this.#reverseOf(spec.reverseToken) }
    return this.#buildReverse(base, spec)
  }

  #reverseOf(text: string): { reverse: ReverseToken; owner: undefined } {
    const reverse = this.#tokens.find(text)
    if (reverse?.type !== 'reverse') {
      throw new LinkSocksError('ERR_REVERSE_TOKEN_NOT_FOUND', 'reverse token not found')
    }
    if (reverse.autonomy) {
      throw new LinkSocksError('ERR_TOKEN_AUTONOMY', 'the providers of this reverse token manage its connector tokens')
    }
    return { reverse, owner: undefined }
  }

  async #buildReverse(base: TokenBase, spec: ReverseTokenSpec): Promise<ReverseToken> {
    if (spec.allowManageConnector === true && spec.rules !== undefined && spec.rules.length > 0) {
      throw new LinkSocksError(
        'ERR_TOKEN_INVALID',
        'rules cannot be combined with allow_manage_connector: they would limit nothing',
      )
    }
    const token = this.#reverse(base, spec, spec.allowManageConnector ?? false)
    checkPort(spec.port)
    if (!token.autonomy)
      token.port = await this.#options.ports.allocate(token, spec.port, this.#dormant.portsBeside(base.token))
    return token
  }

  #reverse(base: TokenBase, spec: Pick<ReverseTokenSpec, 'username' | 'password' | 'port'>, autonomy: boolean) {
    const token: ReverseToken = {
      ...base,
      type: 'reverse',
      autonomy,
      providers: createProviders(this.#options.clock),
      connectors: new Set(),
      port: undefined,
      traits: { ...base.traits, credentials: credentialsOf(spec) },
    }
    return token
  }

  async #store(token: Token): Promise<void> {
    // of one that slept under this name nothing is left
    const twin = this.#dormant.find(token.token)
    const record = recordOf(token)
    checkRecordSize(record)
    await this.#write({ put: [record], remove: twin && [twin.id] })
    if (twin !== undefined) this.#dormant.forget(twin)
  }

  /** @throws {LinkSocksError} ERR_NOT_STORED */
  async #write(changes: TokenChanges): Promise<void> {
    const { store, alarms, log } = this.#options
    try {
      await store.write(changes)
      alarms.clear('not-stored')
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_NOT_STORED')
      log.error('token.not-stored', { code: error.code, reason: error.message })
      alarms.raise('not-stored', undefined, 'tokens cannot be written to the data directory')
      throw error
    }
  }

  async #enter(token: Token): Promise<void> {
    this.#tokens.add(token)
    await this.#options.lifecycle.added(token)
  }

  /** Sleeps on where a token has its name, or its reverse token is not there. */
  async #restore(record: TokenRecord): Promise<void> {
    const token = this.#tokens.find(record.token) === undefined ? this.#awaken(record) : undefined
    if (token === undefined) return
    this.#dormant.forget(record)
    await this.#enter(token)
  }

  #warnOfSleeping(record: TokenRecord): void {
    this.#options.log.warn('token.dormant', { token: record.id, type: record.type, reason: this.#whySleeping(record) })
  }

  #whySleeping(record: TokenRecord): string {
    const problem = storedTraits(record)
    if (typeof problem === 'string') return remoteText(problem)
    const named = this.#tokens.find(record.token) !== undefined
    return named || record.type !== 'connector'
      ? 'the command line has a token of the same name'
      : 'its reverse token is not there'
  }

  /** @returns `undefined` for a connector token without its reverse token, and for what this machine can't judge by */
  #awaken(record: TokenRecord): Token | undefined {
    const { id, createdAt, type } = record
    const traits = storedTraits(record)
    if (typeof traits === 'string') return undefined
    const base: TokenBase = {
      ...{ id, number: 0, token: record.token, source: 'api', createdAt },
      traits,
      clients: new Set(),
      suspended: new Set(),
      use: newUse(this.#options.clock, id, createdAt),
    }
    if (type === 'forward') return { ...base, type }
    if (type === 'connector') {
      const reverse = this.#tokens.find(record.reverseToken ?? '')
      if (reverse?.type !== 'reverse' || reverse.autonomy) return undefined
      return { ...base, type, reverse, owner: undefined }
    }
    const token = this.#reverse(base, record, record.autonomy ?? false)
    if (record.port !== undefined) token.port = this.#options.ports.create(token, record.port)
    return token
  }

  #known(token: Token | undefined): Token {
    if (token === undefined) throw new LinkSocksError('ERR_TOKEN_NOT_FOUND', 'token not found')
    return token
  }

  #checkOpen(): void {
    if (this.#closed) throw new LinkSocksError('ERR_SHUTTING_DOWN', 'the server is shutting down')
  }
}
