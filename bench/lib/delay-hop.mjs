// The long way: carries connections to another port at a given rate, each piece arriving a given time after it left.
// delay-hop.mjs <port> <to> <one way in ms> <Mbit/s>
import { connect, createServer } from 'node:net'

const [port, to = 0, delayMs = 50, mbit = 1_000] = process.argv.slice(2).map(Number)
const BYTES_PER_MS = (mbit * 1e6) / 8 / 1_000
/** Bytes that wait for the link in ms: what a router's buffer holds. The sender waits then, as its window is closed. */
const QUEUE_MS = 10

/** One direction of one connection; each has the whole rate, as there is one connection. */
class Way {
  /** @type {{ at: number, bytes: Buffer | undefined }[]} */
  #travelling = []
  #linkFree = 0
  /** @type {NodeJS.Timeout | undefined} */
  #timer

  /**
   * @param {import('node:net').Socket} from
   * @param {import('node:net').Socket} onto
   */
  constructor(from, onto) {
    this.from = from
    this.onto = onto
    from.on('data', (bytes) => this.#take(bytes, bytes.length))
    from.on('end', () => this.#take(undefined, 0))
    onto.on('drain', () => this.#deliver())
  }

  #take(/** @type {Buffer | undefined} */ bytes, /** @type {number} */ length) {
    const now = performance.now()
    this.#linkFree = Math.max(now, this.#linkFree) + length / BYTES_PER_MS
    this.#travelling.push({ at: this.#linkFree + delayMs, bytes })
    if (this.#linkFree > now + QUEUE_MS) {
      this.from.pause()
      setTimeout(() => this.#read(), this.#linkFree - now - QUEUE_MS / 2)
    }
    this.#wait()
  }

  /** Goes on reading, unless the far side takes nothing: what arrived for it counts as the receiver's own buffer. */
  #read() {
    if (!this.onto.writableNeedDrain) this.from.resume()
  }

  #wait() {
    const [first] = this.#travelling
    if (first === undefined || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#deliver()
    }, first.at - performance.now())
  }

  #deliver() {
    const now = performance.now()
    let count = 0
    for (const { at, bytes } of this.#travelling) {
      if (at > now || this.onto.writableNeedDrain) break
      if (bytes === undefined) this.onto.end()
      else this.onto.write(bytes)
      count++
    }
    this.#travelling.splice(0, count)
    if (!this.onto.writableNeedDrain) {
      this.#wait()
      if (this.#linkFree <= now + QUEUE_MS) this.from.resume()
    }
  }
}

createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  new Way(near, far)
  new Way(far, near)
  near.on('error', () => far.destroy()).on('close', () => far.destroy())
  far.on('error', () => near.destroy()).on('close', () => near.destroy())
}).listen({ port, host: '127.0.0.1', backlog: 1_024 })
