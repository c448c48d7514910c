import { LinkSocksError } from '../errors.js'
import { type ResumableOptions, ResumableTransport } from '../mux/resume/resumable-transport.js'
import { Session, type SessionHandler, type SessionOptions } from '../mux/session.js'
import type { Timer } from '../ports.js'
import type { Admitted, Ticket } from './connect-link.js'
import type { LiveSession } from './connection-keeper.js'

/** How often a session that is to end with its last channel is looked at. */
const DRAIN_LOOK_MS = 250

/** What a server may ask of the session, and what its owner hears of it. */
export interface ServedSessionHandler
  extends Pick<SessionHandler, 'connect' | 'policy' | 'control' | 'lost' | 'close'> {
  /** It takes channels, from now on or again. */
  up(): void
  /** It takes none, until it is up again or for ever. */
  down(reason: LinkSocksError | undefined): void
  /** It was down and does not come back: its channels have ended. */
  forgotten(reason: LinkSocksError): void
}

/** One session of a client, on one WebSocket after the other if the server allows that. Inert until `start()`. */
export class ServedSession {
  readonly session: Session
  readonly #transport: ResumableTransport | undefined
  /** A later connection would end up at another server. */
  readonly #elsewhere: boolean
  #handler: ServedSessionHandler | undefined
  readonly #token: string | undefined
  #url: string
  #id: Uint8Array | undefined
  #up = false
  #draining = false
  /** Called at its end, since the client has gone on with another server. */
  #left: (() => void) | undefined
  #look: Timer | undefined
  /** Of the present connection. */
  #gone: (reason: LinkSocksError | undefined) => void = () => {}
  #receivedBefore = 0

  constructor(
    { url, token, elsewhere, sessionId, transport }: Admitted,
    resumable: ResumableOptions,
    environment: SessionOptions,
  ) {
    this.#token = token
    this.#url = url
    this.#elsewhere = elsewhere
    this.#id = sessionId
    this.#transport = sessionId === undefined ? undefined : new ResumableTransport(transport, resumable)
    this.session = new Session(this.#transport ?? transport, environment)
  }

  /** While it is suspended: how to go on. */
  get ticket(): Ticket | undefined {
    const transport = this.#transport
    if (transport === undefined || this.#id === undefined || transport.closed || this.#draining) return undefined
    return { url: this.#url, id: this.#id, token: this.#token, received: transport.received }
  }

  /** Begins to receive; called once. */
  start(handler: ServedSessionHandler): LiveSession {
    this.#handler = handler
    // first: what came right behind the answer may end it
    const live = this.#live()
    this.#back()
    this.session.start({
      ...handler,
      suspended: (reason) => (this.#elsewhere ? this.session.abort(reason) : this.#lost(reason)),
      resumed: () => this.#back(),
      draining: () => this.#serverDrains(),
      close: (error) => {
        this.#look?.cancel()
        handler.close(error)
        this.#lost(error)
        this.#left?.()
      },
    })
    return live
  }

  /** Of the server. */
  get url(): string {
    return this.#url
  }

  /** It is to end by itself: no new channels, and another session beside it. */
  get draining(): boolean {
    return this.#draining || this.#left !== undefined
  }

  /**
   * The client goes on with another server: what is under way ends by itself if this one is reached again in time.
   * @param ended called once it has ended
   * @returns whether there is anything to go back for
   */
  leave(ended: () => void): boolean {
    if (this.ticket === undefined || this.session.channels === 0) return false
    this.#left = ended
    return true
  }

  /** Tells the server that this end is about to shut down. */
  drain(): void {
    this.#transport?.drain()
  }

  /**
   * Goes on with another WebSocket.
   * @returns `undefined` when the server has lost messages, or claims some that were never sent
   */
  resume({ transport, url, sessionId, received = 0 }: Admitted): LiveSession | undefined {
    if (this.#transport?.accepts(received) !== true) return undefined
    this.#url = url
    this.#id = sessionId
    this.#receivedBefore = this.#transport.received
    const live = this.#live()
    this.#transport.attach(transport, received)
    if (this.#left !== undefined) this.#finish()
    return live
  }

  #back(): void {
    this.#up = true
    if (this.#left === undefined) this.#handler?.up()
  }

  #lost(reason: LinkSocksError | undefined): void {
    // nobody comes back to a server that is gone
    if (this.#draining) return this.session.abort(reason ?? new LinkSocksError('ERR_LINK_LOST', 'the server is gone'))
    const left = this.#left !== undefined
    if (this.#up && !left) this.#handler?.down(reason)
    else if (reason !== undefined && (!left || this.session.ended)) this.#handler?.forgotten(reason)
    this.#up = false
    this.#gone(reason)
  }

  #serverDrains(): void {
    if (this.#draining) return
    this.#lost(new LinkSocksError('ERR_SHUTTING_DOWN', 'the server is shutting down'))
    this.#draining = true
    this.#closeWhenIdle()
  }

  /** Its server, which is back, gives it nothing new. */
  #finish(): void {
    this.#transport?.drain()
    this.#look?.cancel()
    this.#closeWhenIdle()
  }

  #closeWhenIdle(): void {
    const { session } = this
    if (session.ended) return
    if (session.channels === 0) void session.close()
    else this.#look = session.clock.after(DRAIN_LOOK_MS, () => this.#closeWhenIdle())
  }

  #live(): LiveSession {
    const gone = new Promise<LinkSocksError | undefined>((resolve) => {
      this.#gone = resolve
    })
    return {
      gone,
      useful: () => (this.#transport?.received ?? 0) > this.#receivedBefore,
      close: () => this.session.close(),
    }
  }
}
