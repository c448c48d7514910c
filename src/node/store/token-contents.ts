import { createHash } from 'node:crypto'

const COUNT_BYTES = 4
const SUM_BYTES = 32
const BYTES = COUNT_BYTES + SUM_BYTES

/** One row as it is in the database. */
export interface TokenRow {
  readonly seq: number
  readonly id: string
  readonly sealed: Uint8Array
}

/**
 * What a database holds, in a few bytes: how many rows, and the SHA-256 of each, all joined by XOR. Written together with
 * the rows, it shows that one is missing, old or in another place.
 */
export class TokenContents {
  #count = 0
  readonly #sum = new Uint8Array(SUM_BYTES)

  static of(rows: Iterable<TokenRow>): TokenContents {
    const contents = new TokenContents()
    for (const row of rows) contents.add(row)
    return contents
  }

  get count(): number {
    return this.#count
  }

  add(row: TokenRow): void {
    this.#count += 1
    this.#join(row)
  }

  remove(row: TokenRow): void {
    this.#count -= 1
    this.#join(row)
  }

  copy(): TokenContents {
    const copy = new TokenContents()
    copy.#count = this.#count
    copy.#sum.set(this.#sum)
    return copy
  }

  bytes(): Buffer {
    const bytes = Buffer.alloc(BYTES)
    bytes.writeUInt32BE(this.#count)
    bytes.set(this.#sum, COUNT_BYTES)
    return bytes
  }

  /** Whether `bytes` are those of the same contents. */
  equals(bytes: Uint8Array): boolean {
    return this.bytes().equals(bytes)
  }

  #join({ seq, id, sealed }: TokenRow): void {
    const sum = createHash('sha256').update(`${seq} ${id} `).update(sealed).digest()
    for (const [index, byte] of sum.entries()) this.#sum[index] = (this.#sum[index] ?? 0) ^ byte
  }
}
