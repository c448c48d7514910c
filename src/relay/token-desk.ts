import { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import type { Clock, Crypto } from '../ports.js'
import { encodeUtf8 } from '../protocol/text.js'
import type { AddedToken, ReverseTokenSpec, TokenSpec, TokenStatus } from './admin.js'
import { ProviderPool } from './provider-pool.js'
import { ReverseDialer } from './reverse-dialer.js'
import { type OpenSocksPort, ReversePort, type SocksCredentials } from './reverse-port.js'
import { checkToken, generateToken } from './token-text.js'
import type { ReverseToken, Token, TokenTable } from './tokens.js'

const MAX_PORT = 65_535
/** Largest SOCKS5 user name and password (RFC 1929 section 2). */
const MAX_CREDENTIAL_BYTES = 255

export interface TokenDeskOptions {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly log: Logger
  readonly openPort: OpenSocksPort
  readonly portRange: readonly [number, number]
  readonly socksNowait: boolean
  readonly fastOpen: boolean
}

/** Where operators add tokens and see how they stand. */
export class TokenDesk {
  readonly #tokens: TokenTable
  readonly #options: TokenDeskOptions
  /** Additions go one after the other: each must see the ports and names of the one before. */
  #last: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(tokens: TokenTable, options: TokenDeskOptions) {
    this.#tokens = tokens
    this.#options = options
  }

  /** @throws {LinkSocksError} see TokenAdmin.addToken */
  add(spec: TokenSpec): Promise<AddedToken> {
    const added = this.#last.then(() => this.#add(spec))
    this.#last = added.catch(() => {})
    return added
  }

  /** Refuses what is still to be added; settles when nothing is being added any more. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#last
  }

  status(): TokenStatus[] {
    return [...this.#tokens.all()].flatMap((token) => statusOf(token) ?? [])
  }

  async #add(spec: TokenSpec): Promise<AddedToken> {
    this.#checkOpen()
    const token = spec.token ?? generateToken(this.#options.crypto)
    checkToken(token)
    this.#tokens.checkFree(token)
    if (spec.type === 'forward') this.#tokens.add({ type: 'forward', token, links: new Set(), suspended: new Set() })
    else if (spec.type === 'connector') this.#addConnector(token, spec.reverseToken)
    else return { token, port: await this.#addReverse(token, spec) }
    return { token }
  }

  #addConnector(token: string, reverseToken: string): void {
    const reverse = this.#tokens.find(reverseToken)
    if (reverse?.type !== 'reverse') {
      throw new LinkSocksError('ERR_REVERSE_TOKEN_NOT_FOUND', 'reverse token not found')
    }
    if (reverse.autonomy) {
      throw new LinkSocksError('ERR_TOKEN_AUTONOMY', 'the providers of this reverse token manage its connector tokens')
    }
    this.#tokens.add({ type: 'connector', token, links: new Set(), suspended: new Set(), reverse, owner: undefined })
  }

  async #addReverse(token: string, spec: ReverseTokenSpec): Promise<number | undefined> {
    const providers = new ProviderPool(this.#options.clock)
    const autonomy = spec.allowManageConnector ?? false
    checkPort(spec.port)
    const credentials = credentialsOf(spec)
    const port = autonomy ? undefined : await this.#allocate(spec.port, credentials, providers)
    const reverse: ReverseToken = {
      type: 'reverse',
      token,
      links: new Set(),
      suspended: new Set(),
      autonomy,
      providers,
      connectors: new Set(),
      port,
    }
    try {
      this.#checkOpen()
      this.#tokens.add(reverse)
    } catch (error) {
      // a provider may have taken the name while the port was tried
      await port?.close()
      throw error
    }
    if (this.#options.socksNowait) await port?.open()
    return port?.port
  }

  #checkOpen(): void {
    if (this.#closed) throw new LinkSocksError('ERR_SHUTTING_DOWN', 'the server is shutting down')
  }

  /** The port asked for, or the lowest free one of the range. */
  async #allocate(
    wanted: number | undefined,
    credentials: SocksCredentials | undefined,
    providers: ProviderPool,
  ): Promise<ReversePort> {
    const taken = this.#takenPorts()
    const [first, last] = wanted === undefined ? this.#options.portRange : [wanted, wanted]
    for (let port = first; port <= last; port += 1) {
      if (taken.has(port)) continue
      const candidate = this.#reversePort(port, credentials, providers)
      try {
        await candidate.prove()
        return candidate
      } catch (error) {
        if (port === last) throw error
      }
    }
    throw new LinkSocksError('ERR_PORT_UNAVAILABLE', 'port not available')
  }

  #reversePort(port: number, credentials: SocksCredentials | undefined, providers: ProviderPool): ReversePort {
    const { openPort, clock, log, fastOpen } = this.#options
    const dialer = new ReverseDialer(providers, fastOpen)
    return new ReversePort({ port, credentials, dialer, openPort, clock, log })
  }

  #takenPorts(): Set<number> {
    const ports = [...this.#tokens.all()].map((token) => (token.type === 'reverse' ? token.port?.port : undefined))
    return new Set(ports.filter((port) => port !== undefined))
  }
}

/** @throws {LinkSocksError} ERR_TOKEN_INVALID */
function checkPort(port: number | undefined): void {
  if (port === undefined || (Number.isInteger(port) && port >= 1 && port <= MAX_PORT)) return
  throw new LinkSocksError('ERR_TOKEN_INVALID', `port must be an integer from 1 to ${MAX_PORT}`)
}

/** @throws {LinkSocksError} ERR_TOKEN_INVALID */
function credentialsOf({ username, password }: ReverseTokenSpec): SocksCredentials | undefined {
  if (username === undefined && password === undefined) return undefined
  if (username === undefined || password === undefined) {
    throw new LinkSocksError('ERR_TOKEN_INVALID', 'username and password go together: give both or neither')
  }
  for (const [field, text] of Object.entries({ username, password })) {
    const bytes = encodeUtf8(text).byteLength
    if (bytes >= 1 && bytes <= MAX_CREDENTIAL_BYTES) continue
    throw new LinkSocksError('ERR_TOKEN_INVALID', `${field} must be 1 to ${MAX_CREDENTIAL_BYTES} bytes of UTF-8`)
  }
  return { username, password }
}

function statusOf(token: Token): TokenStatus | undefined {
  const common = { token: token.token, clientsCount: token.links.size }
  if (token.type === 'forward') return { ...common, type: 'forward' }
  if (token.type === 'connector') return undefined
  const connectorTokens = Array.from(token.connectors, (connector) => connector.token)
  const { port } = token
  if (port === undefined) return { ...common, type: 'reverse', connectorTokens }
  const { listening, error } = port
  return { ...common, type: 'reverse', connectorTokens, port: port.port, listening, error }
}
