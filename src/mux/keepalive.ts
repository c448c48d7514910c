import type { Clock, MessageTransport, Timer } from '../ports.js'
import { LINK_TIMEOUT_MS, PING_INTERVAL_MS } from '../protocol/limits.js'
import type { Output } from './flow/scheduler.js'

export interface PingTimes {
  /** Milliseconds between two pings. */
  readonly intervalMs: number
  /** Milliseconds without any frame after which the link is given up. */
  readonly timeoutMs: number
}

/** Deployed programs ping as often and wait about as long. */
export const PING_TIMES: PingTimes = { intervalMs: PING_INTERVAL_MS, timeoutMs: LINK_TIMEOUT_MS }

/** The first ping comes early: it tells how long the path is. */
const FIRST_PING_MS = 1_000
/** Milliseconds after which a transport that is still full is so because of its peer: the system takes what it can before. */
const FULL_MS = 500

/** A peer of which something came so lately is not asked. */
const RECENT_MS = 250
/** Round trips, and at least so long, after which a peer that was asked owes its answer. */
const OWES_AFTER_TRIPS = 4
const OWES_AFTER_MS = 250

/** Whether the peer is there: all that ask at a time share one ping. */
interface Question {
  readonly answer: Promise<boolean>
  readonly settle: (alive: boolean) => void
}

export interface KeepaliveOptions {
  readonly transport: Pick<MessageTransport, 'ping' | 'pong'>
  readonly clock: Clock
  /** Also send unsolicited pongs: deployed servers extend their deadline on nothing else (docs/protocol.md A.1). */
  readonly pongs: boolean
  /** @default {@link PING_TIMES} */
  readonly times?: PingTimes | undefined
  /** @default never full */
  readonly output?: (() => Output) | undefined
  /** Called once when nothing arrived for too long. */
  readonly dead: () => void
}

/** Pings a transport and notices when it has gone silent. */
export class Keepalive {
  readonly #options: KeepaliveOptions
  readonly #times: PingTimes
  #lastActivity = 0
  #pausedAt: number | undefined
  #pingedAt: number | undefined
  #roundTripMs: number | undefined
  #pingTimer: Timer | undefined
  #deadlineTimer: Timer | undefined
  #question: Question | undefined
  /** Since when it was asked by `ask()` and has sent nothing. */
  #askedAt: number | undefined
  /** Each waits for the answer to a ping of its own, or to a later one. */
  readonly #trips = new Set<(answered: boolean) => void>()

  constructor(options: KeepaliveOptions) {
    this.#options = options
    this.#times = options.times ?? PING_TIMES
  }

  /** Begins to ping and to watch; called once. */
  start(): void {
    this.#begin(Math.min(FIRST_PING_MS, this.#times.intervalMs))
  }

  /** What the last ping took to be answered, in milliseconds; `undefined` before the first answer. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs
  }

  /** A pong arrived; one that nobody asked for tells nothing. */
  pong(): void {
    if (this.#pingedAt === undefined) return
    this.#roundTripMs = this.#options.clock.now() - this.#pingedAt
    this.#pingedAt = undefined
    this.#endTrips(true)
  }

  /** Pings, unless something came lately or it is asked already; {@link owes} tells what comes of it. */
  ask(): void {
    const now = this.#options.clock.now()
    const asleep = this.#pingTimer === undefined || this.#pausedAt !== undefined
    if (asleep || this.#askedAt !== undefined || now - this.#lastActivity < RECENT_MS) return
    this.#askedAt = now
    this.#sendPing()
  }

  /**
   * Milliseconds until a peer that was asked owes its answer: four round trips, at least {@link OWES_AFTER_MS}, in which it sent
   * nothing; `undefined` where none was asked, or something came since.
   */
  get dueMs(): number | undefined {
    if (this.#askedAt === undefined) return undefined
    return Math.max(0, this.#askedAt + this.#patienceMs - this.#options.clock.now())
  }

  get #patienceMs(): number {
    return Math.max(OWES_AFTER_MS, OWES_AFTER_TRIPS * (this.#roundTripMs ?? 0))
  }

  /** Calls back once the peer owes an answer, if from now on it sends nothing, or when it has no connection then. */
  whenOwes(callback: () => void): Timer {
    const { clock } = this.#options
    const since = clock.now()
    const look = (): void => {
      if (this.owes || this.#pingTimer === undefined) return callback()
      if (this.#lastActivity > since) return
      this.ask()
      if (this.dueMs !== undefined) timer = clock.after(this.dueMs, look)
    }
    let timer = clock.after(this.dueMs ?? this.#patienceMs, look)
    return { cancel: () => timer.cancel() }
  }

  get owes(): boolean {
    return this.dueMs === 0
  }

  /** A frame arrived. */
  activity(): void {
    this.#askedAt = undefined
    this.#lastActivity = this.#options.clock.now()
    if (this.#pausedAt !== undefined) this.#pausedAt = this.#lastActivity
    this.#question?.settle(true)
  }

  /**
   * Pings now, unless a question is open. @returns whether a frame of any kind comes within `limitMs`; `true` as well while
   * nothing is read, because silence proves nothing then, and when some of what has filled the transport has left it: the ping
   * waits behind that, and the peer's system takes it; `false` when it is stopped meanwhile
   */
  answers(limitMs: number): Promise<boolean> {
    if (this.#question !== undefined) return this.#question.answer
    const question = this.#ask(limitMs)
    // stands before the ping: the answer may come with it
    this.#question = question
    this.#sendPing()
    return question.answer
  }

  /**
   * Pings now. @returns whether the peer answers that ping within `limitMs`: it has received all that was sent before; `false` at once
   * when it is stopped meanwhile
   */
  passes(limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (answered: boolean): void => {
        timer.cancel()
        this.#trips.delete(settle)
        resolve(answered)
      }
      const timer = this.#options.clock.after(limitMs, () => settle(false))
      this.#trips.add(settle)
      this.#sendPing()
    })
  }

  /** We stopped reading: the peer's silence proves nothing until `resume()`. */
  pause(): void {
    this.#askedAt = undefined
    this.#pausedAt ??= this.#options.clock.now()
  }

  resume(): void {
    if (this.#pausedAt === undefined) return
    this.#lastActivity += this.#options.clock.now() - this.#pausedAt
    this.#pausedAt = undefined
  }

  /** After `stop()`: there is a new connection. */
  restart(): void {
    this.#begin(this.#times.intervalMs)
  }

  /** An open question gets no answer any more. */
  giveUp(): void {
    this.#question?.settle(false)
  }

  stop(): void {
    this.giveUp()
    this.#endTrips(false)
    this.#askedAt = undefined
    this.#pingedAt = undefined
    this.#pingTimer?.cancel()
    this.#pingTimer = undefined
    this.#deadlineTimer?.cancel()
  }

  #endTrips(answered: boolean): void {
    for (const settle of [...this.#trips]) settle(answered)
  }

  #begin(firstPingMs: number): void {
    const { clock } = this.#options
    this.#lastActivity = clock.now()
    if (this.#pausedAt !== undefined) this.#pausedAt = this.#lastActivity
    this.#pingTimer = clock.after(firstPingMs, () => this.#ping())
    this.#deadlineTimer = clock.after(this.#times.timeoutMs, () => this.#checkSilence())
  }

  #ask(limitMs: number): Question {
    let answered = (_alive: boolean): void => {}
    const answer = new Promise<boolean>((resolve) => {
      answered = resolve
    })
    const { clock, output = emptyOutput } = this.#options
    const fullMs = Math.min(FULL_MS, limitMs)
    let timer = clock.after(fullMs, () => {
      const before = output()
      const alive = (): boolean => this.#pausedAt !== undefined || hasMoved(before, output())
      timer = clock.after(limitMs - fullMs, () => {
        // when the process stood still, its timers run before what came meanwhile is read
        timer = clock.after(0, () => settle(alive()))
      })
    })
    const settle = (alive: boolean): void => {
      timer.cancel()
      this.#question = undefined
      answered(alive)
    }
    return { answer, settle }
  }

  #sendPing(): void {
    this.#pingedAt = this.#options.clock.now()
    this.#options.transport.ping()
  }

  #ping(): void {
    this.#sendPing()
    if (this.#options.pongs) this.#options.transport.pong()
    this.#pingTimer = this.#options.clock.after(this.#times.intervalMs, () => this.#ping())
  }

  #checkSilence(): void {
    const now = this.#pausedAt ?? this.#options.clock.now()
    const left = this.#lastActivity + this.#times.timeoutMs - now
    if (left <= 0) {
      this.#pingTimer?.cancel()
      this.#options.dead()
      return
    }
    this.#deadlineTimer = this.#options.clock.after(left, () => this.#checkSilence())
  }
}

function emptyOutput(): Output {
  return { leftBytes: 0, full: false }
}

/** What is full is emptied by the peer's system alone. */
function hasMoved(before: Output, now: Output): boolean {
  return before.full && now.leftBytes > before.leftBytes
}
