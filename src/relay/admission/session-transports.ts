import { ReplayBudget } from '../../mux/resume/replay-budget.js'
import { ResumableTransport } from '../../mux/resume/resumable-transport.js'
import type { Clock, Crypto, MessageTransport } from '../../ports.js'
import type { LinkOrigin } from '../clients/relay-client.js'
import type { Admission } from './authenticate.js'
import { type ResumableSession, ResumableSessions } from './resumable-sessions.js'

export interface SessionTransportsOptions {
  readonly clock: Clock
  readonly crypto: Crypto
  /** Milliseconds a session outlives its WebSocket; 0 switches that off. */
  readonly resumeTimeoutMs: number
}

/** What a session of the relay lives on. */
export interface OpenedTransport {
  readonly transport: MessageTransport
  /** The session is over. */
  readonly forget: () => void
  /** Tells the peer that the relay is about to shut down; `undefined` for one that would not understand. */
  readonly drain: (() => void) | undefined
}

/** Answers who has authenticated: with a session of its own, or with the one it had. */
export class SessionTransports {
  readonly #options: SessionTransportsOptions
  readonly #resumable: ResumableSessions
  readonly #replays = new ReplayBudget()

  constructor(options: SessionTransportsOptions) {
    this.#options = options
    this.#resumable = new ResumableSessions(options.crypto)
  }

  /** Bytes kept to be sent again, beyond the 1 MiB that each session may keep in any case. */
  get replayBytes(): number {
    return this.#replays.taken
  }

  /**
   * Goes on with a session of this peer that lost its WebSocket, or is about to.
   * @param origin where it comes from now
   * @returns whether it did
   */
  resume(admission: Admission, origin: LinkOrigin): boolean {
    const known = this.#resumable.find(admission)
    if (known === undefined || admission.resume === undefined) return false
    const sessionId = this.#resumable.renew(known)
    const { transport } = known
    known.cameFrom(origin)
    const inner = admission.confirm({ sessionId, keepsOrder: true, received: transport.received })
    transport.attach(inner, admission.resume.received)
    return true
  }

  /**
   * The transport of a new session; it survives its WebSocket if the peer wants that and it is not switched off.
   * @param cameFrom told where it comes from when it goes on
   */
  open(admission: Admission, cameFrom: (origin: LinkOrigin) => void): OpenedTransport {
    const { resumeTimeoutMs: timeoutMs, clock } = this.#options
    if (admission.resume === undefined || timeoutMs === 0) {
      return { transport: admission.confirm({ keepsOrder: true }), forget: () => {}, drain: undefined }
    }
    const { token, role, instance } = admission
    const sessionId = this.#resumable.newId()
    const transport = new ResumableTransport(admission.confirm({ sessionId, keepsOrder: true }), {
      clock,
      timeoutMs,
      budget: this.#replays,
      confirmed: () => this.#resumable.confirmed(session),
    })
    const session: ResumableSession = { token, role, instance, transport, cameFrom }
    this.#resumable.add(sessionId, session)
    return { transport, forget: () => this.#resumable.remove(session), drain: () => transport.drain() }
  }
}
