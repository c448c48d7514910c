import type { Socket } from 'node:net'
import { WebSocket } from 'ws'

/** Options for both ends of `ws`: no extension is offered or agreed to. */
export const WS_OPTIONS = { perMessageDeflate: false }

/** What is left when the handshake of RFC 6455 section 4 is done: a connection that speaks frames. */
export interface Upgraded {
  readonly socket: Socket
  /** What the peer sent behind its part of the handshake. */
  readonly head: Buffer
}

/**
 * The handshake of `ws` without its frames: where a WebSocket would take over the connection, this one gives it away.
 * Emits 'open' then, like any other.
 */
export class HandshakeSocket extends WebSocket {
  #upgraded: Upgraded | undefined

  /** @throws {TypeError} before 'open' */
  get upgraded(): Upgraded {
    if (this.#upgraded === undefined) throw new TypeError('the handshake is not done')
    return this.#upgraded
  }

  setSocket(socket: Socket, head: Buffer): void {
    this.#upgraded = { socket, head }
    this.emit('open')
  }
}
