import { expect } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { Channel } from '../../../src/mux/channel/channel.js'
import { ReplayBudget } from '../../../src/mux/resume/replay-budget.js'
import { ResumableTransport } from '../../../src/mux/resume/resumable-transport.js'
import { Session } from '../../../src/mux/session.js'
import { SessionDialer } from '../../../src/mux/session-dialer.js'
import { nodeCrypto } from '../../../src/node/system/crypto.js'
import type { ByteStream } from '../../../src/ports.js'
import type { ConnectMessage } from '../../../src/protocol/messages.js'
import { pattern } from '../../contract/pattern.js'
import { ManualClock } from '../../support/manual-clock.js'
import { type MemoryTransport, memoryTransportPair } from '../../support/memory-transport.js'
import { inflate, TARGET } from '../fixture.js'

const SEEDS = 64
const PATTERN_BYTES = 2 * 1024 * 1024
const patterns = new Map<number, Uint8Array>()

function patternOf(seed: number): Uint8Array {
  const known = patterns.get(seed % SEEDS) ?? pattern(PATTERN_BYTES, (seed % SEEDS) + 1)
  patterns.set(seed % SEEDS, known)
  return known
}

/** One end of a channel as the model sees it. What arrives is compared at once, and again before its memory is given back. */
export class ModelStream {
  readonly #stream: ByteStream
  readonly #outgoing: Uint8Array
  readonly #expected: Uint8Array
  /** What was written and has not left, each with where it ends. */
  readonly #leaving: { readonly chunk: Uint8Array; readonly end: number }[] = []
  readonly #held: { readonly chunk: Uint8Array; readonly at: number }[] = []
  written = 0
  reported = 0
  received = 0
  consumed = 0
  ended = false
  aborted = false
  ends = 0
  readonly closes: (LinkSocksError | undefined)[] = []

  /** @param seed of what it writes; the other end has the next one, even or odd */
  constructor(stream: ByteStream, seed: number) {
    this.#stream = stream
    this.#outgoing = patternOf(seed)
    this.#expected = patternOf(seed ^ 1)
    stream.start({
      data: (chunk) => {
        if (this.ends + this.closes.length > 0) expect([this.ends, this.closes.length]).toEqual([0, 0])
        this.#held.push({ chunk, at: this.received })
        this.#check(chunk, this.received)
        this.received += chunk.byteLength
      },
      end: () => {
        this.ends += 1
      },
      written: (bytes) => {
        this.reported += bytes
        // from here on the memory is its owner's again, who may use it for something else
        while ((this.#leaving[0]?.end ?? Number.POSITIVE_INFINITY) <= this.reported)
          this.#leaving.shift()?.chunk.fill(0xdd)
      },
      close: (error) => this.closes.push(error),
    })
  }

  write(bytes: number): void {
    if (this.ended || this.aborted) return
    const end = Math.min(this.written + bytes, this.#outgoing.byteLength)
    if (end === this.written) return
    const chunk = this.#outgoing.slice(this.written, end)
    this.written = end
    this.#leaving.push({ chunk, end })
    this.#stream.write(chunk)
  }

  end(): void {
    this.ended = true
    this.#stream.end()
  }

  abort(): void {
    this.aborted = true
    this.#stream.abort(new LinkSocksError('ERR_STREAM_RESET', 'the model resets it'))
  }

  /** Uses up the first `chunks` of what is there. */
  consume(chunks = Number.POSITIVE_INFINITY): void {
    if (this.closes.length > 0) return
    for (const { chunk, at } of this.#held.splice(0, chunks)) {
      this.#check(chunk, at)
      this.consumed += chunk.byteLength
      this.#stream.consume(chunk.byteLength)
    }
  }

  #check(chunk: Uint8Array, at: number): void {
    const same = Buffer.compare(chunk, this.#expected.subarray(at, at + chunk.byteLength)) === 0
    if (!same) expect({ at, bytes: chunk.byteLength, same }).toEqual({ at, bytes: chunk.byteLength, same: true })
  }
}

/** One session that survives its WebSockets. */
class Side {
  readonly transport: ResumableTransport
  readonly session: Session
  readonly closes: (LinkSocksError | undefined)[] = []
  inner: MemoryTransport

  constructor(
    inner: MemoryTransport,
    clock: ManualClock,
    budget: ReplayBudget,
    connect?: (side: Side, message: ConnectMessage) => void,
  ) {
    this.inner = inner
    this.transport = new ResumableTransport(inner, { clock, budget })
    const silent = (): void => {}
    this.session = new Session(this.transport, {
      clock,
      crypto: nodeCrypto,
      inflate,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      pongs: false,
    })
    this.session.start({
      ...(connect && { connect: (message) => connect(this, message) }),
      close: (error) => this.closes.push(error),
    })
  }
}

/** A connection that the near end has asked for. */
interface Pending {
  readonly near: MemoryTransport
  readonly far: MemoryTransport
  readonly told: number
  answered: number | undefined
}

/** Two sessions whose connections come and go; all frames wait until they are let go. */
export class ResumeWorld {
  readonly clock = new ManualClock()
  /** The process has no room but what each session may keep in any case. */
  readonly budget = new ReplayBudget(0)
  readonly near: Side
  readonly far: Side
  /** Of each channel the opener's end, and the other one once the Connect has come. */
  readonly channels: { readonly near: ModelStream; far: ModelStream | undefined }[] = []
  #accepted = 0
  #pending: Pending | undefined

  constructor() {
    const [a, b] = memoryTransportPair({ hold: true })
    this.near = new Side(a, this.clock, this.budget)
    this.far = new Side(b, this.clock, this.budget, (side, message) => this.#accept(side.session, message))
  }

  async open(): Promise<void> {
    if (!this.near.session.available) return
    const dialled = new SessionDialer(this.near.session, { fastOpen: true }).dial(TARGET)
    this.channels.push({ near: new ModelStream(await dialled, 2 * this.channels.length), far: undefined })
  }

  stream(index: number, near: boolean): ModelStream | undefined {
    const channel = this.channels[index % Math.max(1, this.channels.length)]
    return near ? channel?.near : channel?.far
  }

  get streams(): ModelStream[] {
    return this.channels.flatMap(({ near, far }) => (far === undefined ? [near] : [near, far]))
  }

  /** Both ends notice that the connection is gone. */
  cut(): void {
    this.near.inner.cut()
  }

  /** The near end alone notices. */
  half(): void {
    // else the far end may have the next connection already
    if (this.near.transport.suspended) return
    this.far.inner.pause()
    this.near.inner.abort()
  }

  /** The near end comes with another connection; what it came with before is given up. */
  come(): void {
    if (!this.near.transport.suspended) return
    this.#pending?.near.abort()
    const [near, far] = memoryTransportPair({ hold: true })
    this.#pending = { near, far, told: this.near.transport.received, answered: undefined }
  }

  /** The far end goes on with it. */
  answer(): void {
    const pending = this.#pending
    if (pending === undefined || pending.answered !== undefined) return
    expect(this.far.transport.accepts(pending.told)).toBe(true)
    pending.answered = this.far.transport.received
    this.far.inner = pending.far
    this.far.transport.attach(pending.far, pending.told)
  }

  /** The near end has the answer. */
  goOn(): void {
    const pending = this.#pending
    if (pending?.answered === undefined) return
    this.#pending = undefined
    expect(this.near.transport.accepts(pending.answered)).toBe(true)
    this.near.inner = pending.near
    this.near.transport.attach(pending.near, pending.answered)
  }

  /** The connection that was asked for is lost. */
  cutPending(): void {
    this.#pending?.near.cut()
  }

  /** Nothing is held up any more: everything arrives. */
  async finish(): Promise<void> {
    for (let turns = 0; turns < 200; turns += 1) {
      this.come()
      this.answer()
      this.goOn()
      for (const { inner } of [this.near, this.far]) inner.letGo()
      await this.clock.advanceAsync(50)
      for (const stream of this.streams) stream.consume()
    }
  }

  #accept(session: Session, { channelId: id, trailer }: ConnectMessage): void {
    const channel = new Channel({ host: session, id, opener: false, offer: trailer?.streamControl, fastOpen: false })
    channel.accept()
    const mine = this.channels[this.#accepted]
    if (mine === undefined) throw new Error('a channel that nobody opened')
    mine.far = new ModelStream(channel, 2 * this.#accepted + 1)
    this.#accepted += 1
  }
}
