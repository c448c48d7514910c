import type { TokenRecord } from '../../ports.js'

/** SOCKS ports that records of the store name and no token has. */
export interface NamedPorts {
  /** Of tokens that are still to be restored. */
  readonly wanted: ReadonlySet<number>
  /** Of those that are not, but might be at a later start. */
  readonly idle: ReadonlySet<number>
}

/**
 * Records of the store that are not in use: they are still to be restored, a token of the command line has their name, or their
 * reverse token is missing. They stay in the store until somebody adds or removes a token of their name, or removes their
 * reverse token.
 */
export class DormantTokens {
  readonly #records = new Map<string, TokenRecord>()
  /** Texts of tokens of the command line: a stored one of such a name is not restored. */
  #displacing: ReadonlySet<string | undefined> = new Set()

  /** In the order of the store. */
  get all(): readonly TokenRecord[] {
    return [...this.#records.values()]
  }

  find(token: string): TokenRecord | undefined {
    return this.#records.get(token)
  }

  /** Connector tokens of a reverse token. */
  dependingOn(reverseToken: string): readonly TokenRecord[] {
    return this.all.filter((record) => record.reverseToken === reverseToken)
  }

  /** Records of these names are not going to be restored. */
  giveWayTo(tokens: Iterable<string | undefined>): void {
    this.#displacing = new Set(tokens)
  }

  /** SOCKS ports that the others name, while `token` is about to take the place of a record of its name. */
  portsBeside(token: string): NamedPorts {
    const ports = { wanted: new Set<number>(), idle: new Set<number>() }
    for (const { port, token: text } of this.#records.values()) {
      if (port !== undefined && text !== token) ports[this.#displacing.has(text) ? 'idle' : 'wanted'].add(port)
    }
    return ports
  }

  add(record: TokenRecord): void {
    this.#records.set(record.token, record)
  }

  forget(record: TokenRecord): void {
    this.#records.delete(record.token)
  }
}
