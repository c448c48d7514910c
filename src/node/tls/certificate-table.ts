import { Lru } from '../../lru.js'
import type { CertificatePair } from './certificate-pair.js'

/** Names asked for whose certificate is remembered. */
const MAX_REMEMBERED_NAMES = 1_024

/** The certificates of a server, each under the name of where it came from. One that is changed holds for connections that come then. */
export class CertificateTable {
  readonly #order: readonly string[]
  readonly #pairs = new Map<string, CertificatePair>()
  readonly #challenges = new Map<string, CertificatePair>()
  readonly #chosen = new Lru<string, CertificatePair>(MAX_REMEMBERED_NAMES)

  /** In the order in which their sources were named; the first is for clients that name no host. */
  constructor(sources: readonly string[]) {
    this.#order = sources
  }

  get(source: string): CertificatePair | undefined {
    return this.#pairs.get(source)
  }

  set(source: string, pair: CertificatePair): void {
    this.#pairs.set(source, pair)
    this.#chosen.clear()
  }

  /** The certificate for that name, else the first; `undefined` before there is any. */
  choose(serverName: string | undefined): CertificatePair | undefined {
    const known = this.#order.flatMap((source) => this.#pairs.get(source) ?? [])
    if (serverName === undefined) return known[0]
    const remembered = this.#chosen.get(serverName)
    if (remembered !== undefined) return remembered
    const chosen = known.find(({ leaf }) => leaf.checkHost(serverName) !== undefined) ?? known[0]
    if (chosen !== undefined) this.#chosen.set(serverName, chosen)
    return chosen
  }

  /** For the validation of a name (RFC 8737). */
  challenge(serverName: string): CertificatePair | undefined {
    return this.#challenges.get(serverName)
  }

  /** @returns what takes it away, unless another one has its place */
  putChallenge(serverName: string, pair: CertificatePair): () => void {
    this.#challenges.set(serverName, pair)
    return () => {
      if (this.#challenges.get(serverName) === pair) this.#challenges.delete(serverName)
    }
  }
}
