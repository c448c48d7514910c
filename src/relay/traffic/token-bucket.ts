import type { Clock, Timer } from '../../ports.js'
import { KIB } from '../../protocol/limits.js'
import { Heap } from './heap.js'

/** A grant is for what comes in this time: so long a small message may wait behind one. */
const PIECE_MS = 20
/** Slow rates are granted in no smaller pieces than this, or than the burst. */
const LEAST_PIECE_BYTES = KIB
/** A piece where nobody waits: what is there goes at once, in few chunks. */
const MOST_FREE_PIECE_BYTES = 256 * KIB
/** A bucket holds what comes in this time at least: timers come late, and what they miss would be lost. */
const LATE_MS = 50

export interface BucketRate {
  /** Bytes a second; at least 1. */
  readonly rate: number
  /** Bytes that may go at once after a pause. */
  readonly burst: number
}

/** Who asks a bucket, one grant after the other. */
export class Asker {
  readonly granted: () => void
  /** What it asks for; `undefined`: nothing. */
  request: { readonly bytes: number } | undefined
  /** Virtual time at which its last grant was used up. */
  finish = 0

  /** @param granted called for what was not granted at once */
  constructor(granted: () => void) {
    this.granted = granted
  }
}

interface Waiting {
  readonly asker: Asker
  readonly request: { readonly bytes: number }
  /** Virtual time. */
  readonly finish: number
}

/**
 * A token bucket for many streams: bytes come in at a rate and are granted in pieces. Who asks for little is not behind those who ask for much:
 * turns are those of self-clocked fair queueing (Golestani, 1994).
 */
export class TokenBucket {
  readonly #clock: Clock
  #rate: number
  #burst: number
  #bytes: number
  #filledAt: number
  /** Finish of what was granted last. */
  #virtual = 0
  readonly #queue = new Heap<Waiting>()
  #timer: Timer | undefined
  #serving = false
  #isOpen = false

  /** Begins full. */
  constructor(clock: Clock, { rate, burst }: BucketRate) {
    this.#clock = clock
    this.#rate = rate
    this.#burst = burst
    this.#bytes = this.#capacity
    this.#filledAt = clock.now()
  }

  /** What one grant should be for at most. */
  get pieceBytes(): number {
    const piece = Math.min(this.#capacity, Math.max(LEAST_PIECE_BYTES, (this.#rate * PIECE_MS) / 1_000))
    return Math.max(1, Math.floor(piece), this.#free)
  }

  /** From now on. What is there already stays, up to the new burst. */
  set({ rate, burst }: BucketRate): void {
    if (rate === this.#rate && burst === this.#burst) return
    this.#fill()
    this.#rate = rate
    this.#burst = burst
    this.#bytes = Math.min(this.#bytes, this.#capacity)
    this.#serve()
  }

  /** @returns whether it is granted at once; else `asker.granted` is called when it is, or never after leave() */
  ask(asker: Asker, bytes: number): boolean {
    if (this.#isOpen) return true
    const request = { bytes }
    const finish = Math.max(this.#virtual, asker.finish) + bytes
    asker.request = request
    asker.finish = finish
    this.#queue.push(finish, { asker, request, finish })
    return this.#serve(request)
  }

  /** Asks for nothing more. */
  leave(asker: Asker): void {
    asker.request = undefined
    if (this.#first() === undefined) this.#timer?.cancel()
  }

  /** What was granted is not used. */
  giveBack(bytes: number): void {
    this.#bytes = Math.min(this.#bytes + bytes, this.#capacity)
    this.#serve()
  }

  /** For good, there is no limit any more: all that wait go on. */
  open(): void {
    this.#isOpen = true
    this.#timer?.cancel()
    for (let waiting = this.#queue.shift(); waiting !== undefined; waiting = this.#queue.shift()) grant(waiting)
  }

  /** What may go at once. */
  get #free(): number {
    if (this.#first() !== undefined) return 0
    this.#fill()
    return Math.floor(Math.min(this.#bytes, MOST_FREE_PIECE_BYTES))
  }

  get #capacity(): number {
    return Math.max(this.#burst, (this.#rate * LATE_MS) / 1_000)
  }

  #fill(): void {
    const now = this.#clock.now()
    this.#bytes = Math.min(this.#capacity, this.#bytes + ((now - this.#filledAt) * this.#rate) / 1_000)
    this.#filledAt = now
  }

  /**
   * Grants what there is to those whose turn it is.
   * @param asked is answered here, and not by a call @returns whether it was granted
   */
  #serve(asked?: Waiting['request']): boolean {
    // who is granted something may ask again meanwhile, and is served below
    if (this.#serving) return false
    this.#serving = true
    let answered = false
    try {
      this.#fill()
      for (let next = this.#first(); next !== undefined && this.#covers(next); next = this.#first()) {
        this.#queue.shift()
        this.#bytes -= next.request.bytes
        this.#virtual = next.finish
        if (next.request !== asked) grant(next)
        else {
          next.asker.request = undefined
          answered = true
        }
      }
    } finally {
      this.#serving = false
    }
    this.#wait()
    return answered
  }

  /** Whose turn it is; those who left meanwhile are passed over. */
  #first(): Waiting | undefined {
    for (let first = this.#queue.first; first !== undefined; first = this.#queue.first) {
      if (first.asker.request === first.request) return first
      this.#queue.shift()
    }
    return undefined
  }

  /** More than the bucket holds goes into its debt: a datagram can't be divided. */
  #covers({ request }: Waiting): boolean {
    return this.#bytes >= Math.min(request.bytes, this.#capacity)
  }

  #wait(): void {
    this.#timer?.cancel()
    const first = this.#first()
    if (first === undefined) return
    const lacks = Math.min(first.request.bytes, this.#capacity) - this.#bytes
    this.#timer = this.#clock.after(Math.max(1, Math.ceil((lacks * 1_000) / this.#rate)), () => void this.#serve())
  }
}

function grant({ asker, request }: Waiting): void {
  if (asker.request !== request) return
  asker.request = undefined
  asker.granted()
}
