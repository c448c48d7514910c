import { LinkSocksError } from '../../errors.js'
import type { Session } from '../../mux/session.js'
import type { AbortOptions, Clock, Timer } from '../../ports.js'
import type { Token } from '../tokens/tokens.js'

/** Milliseconds within which a frame has to come on a held link when its instance asks for another one. */
export const HELD_LINK_ANSWER_MS = 3_000
/**
 * Milliseconds from the first link of an instance to the time in which a further one takes the place of one that never had a channel. A
 * deployed client begins with all its links at once, opens its SOCKS port and registers its connector token only when a certain
 * one of them is admitted, and tries those that were refused again after a second.
 */
export const SECOND_TRY_MS = 700
/** When that time ends, from the first link, on a path of no length. */
export const SECOND_TRY_END_MS = 3_000
/** Round trips of the held link by which it ends later: one is the refusal's, others are TCP's, TLS's and the request's. */
export const SECOND_TRY_ROUND_TRIPS = 4
/** Milliseconds after which a link that lingers is closed, if it has no channel then; it is looked at as often. */
export const RETIRE_MS = 1_000
/** It is closed, channel or not, when it was looked at so often. */
const MAX_RETIRE_LOOKS = 30
/** Milliseconds that further attempts wait for a client that was asked for its release, and lives. */
export const RELEASE_ANSWER_MS = 1_000
/** Attempts of one instance that may wait for that; further ones are refused at once. */
export const MAX_WAITING_OF_INSTANCE = 16
/** Attempts of all instances that may wait for that; further ones are refused at once. */
export const MAX_WAITING_ATTEMPTS = 1_024

/** Whose link it is. */
export interface LinkOwner {
  readonly token: Token
  /** The instance UUID as text; `undefined` for a nil or missing one. */
  readonly instance: string | undefined
  readonly spreads: boolean
}

/** What is asked of a link that is held. */
export interface HeldSession extends Pick<Session, 'available' | 'channels' | 'used' | 'answers' | 'close' | 'abort'> {
  readonly usage: Pick<Session['usage'], 'roundTripMs'>
}

type Settle = (given: boolean) => void

export interface HoldOptions {
  /** Called when another link took its place. */
  readonly replaced?: () => void
  /** Its client was asked for its release. */
  readonly asked?: boolean
  /** Its session goes on for a while then, for messages that are on their way; else it is closed at once. */
  readonly lingers?: boolean
}

interface Held {
  readonly session: HeldSession
  readonly replaced: () => void
  readonly lingers: boolean
  /** When the instance had its first link. */
  readonly since: number
  /** Settles an attempt: whether it may come. In the order in which they came. */
  readonly waiting: Set<Settle>
  pinged: boolean
  /** Its client keeps each channel on one link, and may have several. */
  free: boolean
  /** Ends the wait for the client's release; set from the question to the answer. */
  settleRelease: (() => void) | undefined
  /** Settles with that. */
  readonly releaseAnswer: Promise<void> | undefined
  /** A refusal because of it was made known. */
  said: boolean
}

/** Names an instance: its UUID is worth nothing without its token. */
export function instanceKey(token: Token, instance: string): string {
  return `${token.token}\n${instance}`
}

/** @returns the key of an instance that may have one link only, `undefined` for a client whose links are not limited. */
export function limitedInstance({ token, instance, spreads }: LinkOwner): string | undefined {
  return spreads && instance !== undefined ? instanceKey(token, instance) : undefined
}

/**
 * One link for each instance that doesn't know part B: deployed clients spread the messages of one channel over all links they
 * have, where no order can be kept (docs/protocol.md A.5). A further attempt has the held link pinged; one that is silent is
 * given up.
 */
export class HeldLinks {
  readonly #clock: Pick<Clock, 'now' | 'after'>
  /** Links whose place was taken, each with its timer. */
  readonly #retired = new Map<HeldSession, Timer>()
  readonly #held = new Map<string, Held>()
  #waiting = 0
  #over = false

  constructor(clock: Pick<Clock, 'now' | 'after'>) {
    this.#clock = clock
  }

  /** Attempts that wait. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * The link of an instance has been admitted. One that was there before is closed soon, and attempts that wait for it are
   * refused, unless its client {@link keepsChannels}.
   */
  hold(key: string, session: HeldSession, options: HoldOptions = {}): void {
    const { replaced = () => {}, asked = false, lingers = false } = options
    const before = this.#held.get(key)
    if (before?.free === true && before.session.available) return
    const since = before?.since ?? this.#clock.now()
    let settleRelease: (() => void) | undefined
    const releaseAnswer = asked ? new Promise<void>((resolve) => (settleRelease = resolve)) : undefined
    const state = { settleRelease, releaseAnswer, free: false, waiting: new Set<Settle>(), pinged: false, said: false }
    this.#held.set(key, { session, replaced, lingers, since, ...state })
    if (before === undefined) return
    dismiss(before)
    if (!before.session.available) return
    before.replaced()
    if (before.lingers) this.#retire(before.session)
    else close(before.session)
  }

  /** The client of a held link has said whether it keeps each channel on one link: it may have others then. */
  keepsChannels(key: string, session: HeldSession, keeps: boolean): void {
    const held = this.#held.get(key)
    if (held?.session !== session) return
    held.free ||= keeps
    held.settleRelease?.()
    held.settleRelease = undefined
  }

  /** After hold(): it is gone. */
  release(key: string, session: HeldSession): void {
    const held = this.#held.get(key)
    if (held?.session === session) {
      this.#held.delete(key)
      held.settleRelease?.()
    }
    this.#retired.get(session)?.cancel()
    this.#retired.delete(session)
  }

  /** Whether the instance has a link that no other one takes the place of. */
  holds(key: string): boolean {
    const held = this.#held.get(key)
    if (held === undefined || held.free || !held.session.available) return false
    const ageMs = this.#clock.now() - held.since
    return held.session.used || ageMs < SECOND_TRY_MS || ageMs >= secondTryEndMs(held.session)
  }

  /**
   * Asks the held link whether it lives; attempts at the same time share one ping. @returns whether this attempt may come: the
   * first one may, when no frame came within {@link HELD_LINK_ANSWER_MS} or the link ended. One that is cancelled may not.
   * Others may have come meanwhile: holds() says so.
   */
  wait(key: string, { signal }: AbortOptions = {}): Promise<boolean> {
    const held = this.#held.get(key)
    if (held === undefined) return Promise.resolve(true)
    if (this.#over) return Promise.resolve(false)
    // without a waiter as well: an impatient client finds the place free when it is back
    if (!held.pinged) void this.#ask(held)
    const full = held.waiting.size >= MAX_WAITING_OF_INSTANCE || this.#waiting >= MAX_WAITING_ATTEMPTS
    if (full || signal?.aborted === true) return Promise.resolve(false)
    return new Promise((resolve) => {
      const settle = (given: boolean): void => {
        signal?.removeEventListener('abort', leave)
        held.waiting.delete(settle)
        this.#waiting -= 1
        resolve(given)
      }
      const leave = (): void => settle(false)
      signal?.addEventListener('abort', leave)
      held.waiting.add(settle)
      this.#waiting += 1
    })
  }

  /**
   * Whether a refusal is the first one because of the link that is held: a client comes again and again. Those after
   * refuseAll() have another reason.
   */
  firstRefusal(key: string): boolean {
    const held = this.#held.get(key)
    if (held === undefined || held.said || this.#over) return false
    held.said = true
    return true
  }

  /** Refuses the attempts that wait, and those that would have to from now on. Idempotent. */
  refuseAll(): void {
    this.#over = true
    for (const held of this.#held.values()) dismiss(held)
  }

  /** Closes a session whose place was taken once its messages have come and its channels have ended. */
  #retire(session: HeldSession, looks = MAX_RETIRE_LOOKS): void {
    const look = (): void => {
      if (session.channels > 0 && looks > 1) return this.#retire(session, looks - 1)
      this.#retired.delete(session)
      close(session)
    }
    this.#retired.set(session, this.#clock.after(RETIRE_MS, look))
  }

  async #ask(held: Held): Promise<void> {
    const { session, waiting } = held
    held.pinged = true
    const alive = await session.answers(HELD_LINK_ANSWER_MS)
    if (alive && held.settleRelease !== undefined) await this.#untilRelease(held)
    held.pinged = false
    if (held.free) return settleAll(waiting, true)
    // one that is being closed in order is left to that
    if (!alive && session.available) {
      session.abort(
        new LinkSocksError('ERR_LINK_TIMEOUT', 'nothing arrived on the link, and its client has come again'),
      )
    }
    settleFirst(waiting, !alive || !session.available)
  }

  /** A client that does not say its release in time is not asked again. */
  async #untilRelease(held: Held): Promise<void> {
    const timer = this.#clock.after(RELEASE_ANSWER_MS, () => held.settleRelease?.())
    await held.releaseAnswer
    timer.cancel()
    held.settleRelease = undefined
  }
}

/** Milliseconds from the first link of an instance. */
function secondTryEndMs({ usage }: HeldSession): number {
  const roundTripMs = Math.min(usage.roundTripMs ?? 0, HELD_LINK_ANSWER_MS)
  return SECOND_TRY_END_MS + SECOND_TRY_ROUND_TRIPS * roundTripMs
}

function close(session: HeldSession): void {
  void session.close(new LinkSocksError('ERR_SHUTTING_DOWN', 'its client has another link'))
}

/** Nobody waits for this link any more. */
function dismiss({ waiting, settleRelease }: Held): void {
  settleAll(waiting, false)
  settleRelease?.()
}

function settleAll(waiting: ReadonlySet<Settle>, given: boolean): void {
  for (const settle of [...waiting]) settle(given)
}

/** Gives the place to the first one, or to none. */
function settleFirst(waiting: ReadonlySet<Settle>, free: boolean): void {
  const [first, ...others] = waiting
  first?.(free)
  for (const settle of others) settle(false)
}
