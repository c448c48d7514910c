import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http'
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

  /** Turns to an origin. The connection to another one is given up. */
  turnTo(origin: string): void {
    if (origin !== this.#origin) super.destroy()
    this.#origin = origin
  }

  override createConnection({ host, port }: ClientRequestArgs, created?: Created): undefined {
    this.#dial({ host: host ?? '', port: Number(port) }, this.#gone.signal).then(
      (stream) => created?.(null, new HttpSocket(stream)),
      // Node looks at the error first
      (thrown: unknown) => (created as ((error: Error) => void) | undefined)?.(dialError(thrown)),
    )
  }

  /** Ends every connection: in order those at rest, by a reset those with a request; none of those being opened comes to be. */
  override destroy(): void {
    const error = new LinkSocksError('ERR_CANCELLED', 'the client is gone')
    this.#gone.abort(error)
    for (const socket of Object.values(this.sockets).flat()) socket?.destroy(error)
    super.destroy()
  }
}

function dialError(thrown: unknown): LinkSocksError {
  return LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
}
