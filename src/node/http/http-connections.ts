import type { Socket } from 'node:net'
import { socketIp } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { ExpectedRequests } from '../../inbound/expected-requests.js'
import { type PendingConnection, PendingConnections } from '../../inbound/pending-connections.js'
import type { Logger } from '../../log.js'
import { nodeClock } from '../system/clock.js'
import type { WsTransport } from '../websocket/ws-transport.js'

/** From the accepted connection to the authentication of its WebSocket. */
const PENDING_TIMEOUT_MS = 10_000

/** The connections of one HTTP port that are no WebSockets, and all whose peer has proven nothing yet. */
export class HttpConnections {
  readonly #sockets = new Set<Socket>()
  readonly #pendingConnections: PendingConnections
  readonly #timeoutMs: number
  readonly #expected = new ExpectedRequests(nodeClock)
  /** Since when each is pending. */
  readonly #places = new WeakMap<Socket, { readonly pending: PendingConnection; since: number }>()

  /**
   * @param maxPending pending connections at a time. @default 1_024
   * @param timeoutMs how long a WebSocket may be one. @default {@link PENDING_TIMEOUT_MS}
   */
  constructor(log: Logger, maxPending?: number, timeoutMs = PENDING_TIMEOUT_MS) {
    this.#pendingConnections = new PendingConnections(maxPending, (address) => log.warn('http.crowded', { address }))
    this.#timeoutMs = timeoutMs
  }

  track(socket: Socket): void {
    // a request that is read again on its connection
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    if (!this.#places.has(socket)) this.#expected.add(socket)
    // one that was secured has its place since it was accepted
    if (!this.#places.has(socket)) this.setPending(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#expected.delete(socket)
      this.accept(socket)
    })
  }

  /** The TLS handshake of `raw` is done: what is spoken inside it has the place that it had. */
  secured(raw: Socket, socket: Socket): void {
    const place = this.#places.get(raw)
    this.#places.delete(raw)
    this.#sockets.delete(raw)
    if (place !== undefined) this.#places.set(socket, place)
    this.#expected.replace(raw, socket)
    this.track(socket)
  }

  /** A request has come on it. */
  asked(socket: Socket): void {
    this.#expected.delete(socket)
  }

  /** Whether the first request is still to come on a connection that was accepted lately, or a WebSocket to be opened. */
  get someExpected(): boolean {
    return this.#expected.some
  }

  /** Whoever is behind `socket` has (again) proven nothing. Ignored for a WebSocket. */
  setPending(socket: Socket): void {
    if (socket.destroyed || !this.#sockets.has(socket)) return
    const known = this.#places.get(socket)
    if (known !== undefined) {
      // another request, another chance
      known.since = nodeClock.now()
      return
    }
    const pending = this.#pendingConnections.add(socketIp(socket.remoteAddress ?? ''), () => socket.destroy())
    this.#places.set(socket, { pending, since: nodeClock.now() })
  }

  /** They have proven to be allowed here. */
  accept(socket: Socket): void {
    this.#places.get(socket)?.pending.settled()
    this.#places.delete(socket)
  }

  /** A connection became a WebSocket. @returns what is called when its peer has authenticated; else it ends in time */
  upgraded(transport: WsTransport, remoteAddress: string): () => void {
    const { socket } = transport
    this.#sockets.delete(socket)
    this.#expected.delete(socket)
    const place = this.#places.get(socket)
    place?.pending.moveTo(remoteAddress)
    const now = nodeClock.now()
    const timer = nodeClock.after((place?.since ?? now) + this.#timeoutMs - now, () => {
      transport.abort(new LinkSocksError('ERR_AUTH_TIMEOUT', 'no authentication came in time'))
    })
    socket.once('close', () => timer.cancel())
    return () => {
      timer.cancel()
      this.accept(socket)
    }
  }

  /** Ends all that are no WebSockets. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
