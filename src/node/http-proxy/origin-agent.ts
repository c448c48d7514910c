import { Agent, type AgentOptions, type ClientRequest, type ClientRequestArgs } from 'node:http'
import type { Duplex } from 'node:stream'
import { LinkSocksError } from '../../errors.js'
import type { ByteStream, Target } from '../../ports.js'
import { HttpSocket } from './http-socket.js'

/** Opens a stream to an origin. */
export type DialOrigin = (target: Target, signal: AbortSignal) => Promise<ByteStream>

type Created = (error: Error | null, socket: Duplex) => void

// one at rest: a client that turns to another origin gives up the one before
const KEEP_ONE: AgentOptions = { keepAlive: true, maxFreeSockets: 1 }

/** The connections to origins that one client's connection has. */
export class OriginAgent extends Agent {
  readonly #dial: DialOrigin
  readonly #gone = new AbortController()
  #origin = ''

  constructor(dial: DialOrigin) {
    super(KEEP_ONE)
    this.#dial = dial
  }

  /** Turns to an origin. The connection to another one is given up; with `fresh` one to the same as well. */
  turnTo(origin: string, fresh: boolean): void {
    if (fresh || origin !== this.#origin) super.destroy()
    this.#origin = origin
  }

  override createConnection({ host, port }: ClientRequestArgs, created?: Created): undefined {
    this.#open({ host: host ?? '', port: Number(port) }).then(
      (socket) => created?.(null, socket),
      // Node looks at the error first
      (thrown: unknown) => (created as ((error: Error) => void) | undefined)?.(dialError(thrown)),
    )
  }

  /** @returns whether a connection may rest: its origin has not ended it. */
  override keepSocketAlive(socket: Duplex): boolean {
    // an origin that speaks unasked, or has ended its side, is not to be asked again (RFC 9112 section 9.2)
    socket.once('data', giveUp).once('end', giveUp)
    return !socket.readableEnded
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    socket.off('data', giveUp).off('end', giveUp)
    super.reuseSocket(socket, request)
  }

  /** Ends every connection: in order those at rest, by a reset those with a request; none of those being opened comes to be. */
  override destroy(): void {
    const error = new LinkSocksError('ERR_CANCELLED', 'the client is gone')
    this.#gone.abort(error)
    for (const socket of Object.values(this.sockets).flat()) socket?.destroy(error)
    super.destroy()
  }

  /** The stream is never left behind when the client is gone, whatever the dialer makes of it. */
  async #open(target: Target): Promise<HttpSocket> {
    const { signal } = this.#gone
    const stream = await this.#dial(target, signal)
    if (!signal.aborted) return new HttpSocket(stream)
    stream.abort(LinkSocksError.cancelled(signal))
    throw LinkSocksError.cancelled(signal)
  }
}

function giveUp(this: Duplex): void {
  this.destroy()
}

function dialError(thrown: unknown): LinkSocksError {
  return LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
}
