import { createHash } from 'node:crypto'

/** What comes through a socket, in parts of a known length. */
export class Reader {
  #chunks = []
  #ended = false
  #error
  #wake = () => {}

  constructor(socket) {
    socket.on('data', (bytes) => {
      this.#chunks.push(bytes)
      this.#wake()
    })
    const over = (error) => {
      this.#ended = true
      this.#error ??= error
      this.#wake()
    }
    socket.on('end', () => over())
    socket.on('error', over)
    socket.on('close', () => over())
  }

  /** Gives `each` the next `length` bytes, piece by piece. */
  async read(length, each) {
    for (let left = length; left > 0; ) {
      const piece = await this.#next()
      if (piece === undefined)
        throw new Error(`${this.#error?.code ?? 'end'} ${left} bytes before the end of ${length}`)
      if (piece.length > left) this.#chunks.unshift(piece.subarray(left))
      each(piece.subarray(0, left))
      left -= Math.min(left, piece.length)
    }
  }

  async take(length) {
    const pieces = []
    await this.read(length, (piece) => pieces.push(piece))
    return Buffer.concat(pieces)
  }

  async digest(length) {
    const hash = createHash('sha256')
    await this.read(length, (piece) => hash.update(piece))
    return hash.digest('hex')
  }

  /** SHA-256 of everything up to the end. */
  async rest() {
    const hash = createHash('sha256')
    for (let piece = await this.#next(); piece !== undefined; piece = await this.#next()) hash.update(piece)
    if (this.#error !== undefined) throw new Error(`${this.#error.code} instead of the end`)
    return hash.digest('hex')
  }

  async #next() {
    while (this.#chunks.length === 0 && !this.#ended) {
      await new Promise((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#chunks.shift()
  }
}
