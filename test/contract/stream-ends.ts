import { expect } from 'vitest'
import { LinkSocksError } from '../../src/errors.js'
import type { ByteStream } from '../../src/ports.js'
import { untilStill } from '../support/wait.js'
import { StreamRecorder } from './stream-recorder.js'

/** What the tests abort with. */
export const reason = new LinkSocksError('ERR_CANCELLED', 'given up')

export interface ByteStreamPair {
  readonly a: ByteStream
  readonly b: ByteStream
  /** Ends whatever is left of the pair. */
  cleanup?(): Promise<void> | void
  /** For a pair in memory: afterwards nothing happens any more by itself. @default waits until nothing changes */
  settle?(): Promise<void>
}

/** The pair of the running test and what both ends were told. */
export class TestEnds {
  #pair: ByteStreamPair | undefined
  #toA = new StreamRecorder()
  #toB = new StreamRecorder()
  /** Further handlers of `a`. */
  #others: StreamRecorder[] = []

  get a(): ByteStream {
    return this.#open.a
  }

  get b(): ByteStream {
    return this.#open.b
  }

  get toA(): StreamRecorder {
    return this.#toA
  }

  get toB(): StreamRecorder {
    return this.#toB
  }

  get #open(): ByteStreamPair {
    if (this.#pair === undefined) throw new Error('no pair is open')
    return this.#pair
  }

  open(pair: ByteStreamPair): void {
    this.#pair = pair
    this.#toA = new StreamRecorder(pair.a)
    this.#toB = new StreamRecorder(pair.b)
    this.#others = []
  }

  /** Another handler for `a`. */
  another(): StreamRecorder {
    const recorder = new StreamRecorder(this.a)
    this.#others.push(recorder)
    return recorder
  }

  startBoth(): void {
    this.#toA.start()
    this.#toB.start()
  }

  /** Waits until `value` stopped changing. */
  async still(value: () => number): Promise<void> {
    const { settle } = this.#open
    await (settle === undefined ? untilStill(value) : settle())
  }

  async cleanup(): Promise<void> {
    const pair = this.#open
    pair.a.abort(reason)
    pair.b.abort(reason)
    await pair.cleanup?.()
    // whatever happened: each handler heard of the end once at most, and nothing after it
    for (const recorder of [this.#toA, this.#toB, ...this.#others]) {
      expect(recorder.closes.length).toBeLessThanOrEqual(1)
      expect(recorder.ends).toBeLessThanOrEqual(1)
      expect(recorder.late).toEqual([])
    }
  }
}
