import { fstatSync } from 'node:fs'
import { type Server, Socket } from 'node:net'
import { socketIp } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import type { SocketAddress } from '../../ports.js'
import { errorCode } from '../system/error-code.js'
import { ownPort } from './own-ports.js'

/**
 * Connections that may wait in the queue of a socket that was passed, while one server ends and the next one begins. The system
 * has a limit of its own (`net.core.somaxconn`). listen(2) sets the length anew, whatever it was before.
 */
export const INHERITED_BACKLOG = 65_535

/** By descriptor. Node can't duplicate one: of two owners, the first to close it would take it from the other. */
const taken = new Map<number, InheritedSocket>()

/**
 * A socket that was passed to this process, bound and perhaps listening. Connections wait in its queue until `listen()`. Its
 * owner closes it, by `close()` or with the server that listens on it.
 */
export class InheritedSocket {
  readonly fd: number
  /** What it is bound to; `undefined` of a Unix domain socket. */
  readonly address: SocketAddress | undefined
  /** Holds the descriptor, and reads nothing. */
  readonly #holder: Socket
  #server: Server | undefined
  #closed = false

  private constructor(fd: number, holder: Socket, address: SocketAddress | undefined) {
    this.fd = fd
    this.address = address
    this.#holder = holder
  }

  /**
   * Takes a descriptor, unless it is none of a socket that can be listened on: such a one is left as it is.
   * @throws {LinkSocksError} ERR_LISTEN, naming it
   */
  static take(fd: number): InheritedSocket {
    if (taken.get(fd)?.isOpen === true) throw unusable(fd, 'is in use already')
    checkSocket(fd)
    const holder = hold(fd)
    if (holder.remoteAddress !== undefined) {
      throw unusable(fd, 'is a connection and not a listening socket: in a unit of systemd, say Accept=no')
    }
    const bound = holder.address()
    // a Unix domain socket has none
    if (!('port' in bound)) return register(new InheritedSocket(fd, holder, undefined))
    if (bound.port === 0) throw unusable(fd, 'is a socket that is bound to no port')
    return register(new InheritedSocket(fd, holder, { host: socketIp(bound.address), port: bound.port }))
  }

  /** Whether it has its descriptor. */
  get isOpen(): boolean {
    return !this.#closed && (this.#server === undefined || this.#server.listening)
  }

  /**
   * From here on `server` accepts, the connections in the queue first; it closes the descriptor when it closes. Once only.
   * @throws {LinkSocksError} ERR_LISTEN
   */
  listen(server: Server): Promise<void> {
    if (!this.isOpen || this.#server !== undefined)
      return Promise.reject(unusable(this.fd, 'is closed, or in use already'))
    this.#server = server
    return new Promise((resolve, reject) => {
      const settle = (done: () => void): void => {
        for (const [event, listener] of listeners) server.off(event, listener)
        done()
      }
      const listeners: readonly (readonly [string, (error: Error) => void])[] = [
        ['listening', () => settle(() => this.#listening(server, resolve))],
        ['error', (error) => settle(() => reject(listenProblem(this.fd, error)))],
        // before it could say that it listens
        ['close', () => settle(() => reject(unusable(this.fd, 'was closed')))],
      ]
      for (const [event, listener] of listeners) server.on(event, listener)
      // the holder of a Unix domain socket is not used again: Node makes another one, which closes the descriptor
      server.listen(this.#holder, INHERITED_BACKLOG)
    })
  }

  /** Closes the descriptor, for good; the queue is that of other processes then. One that a server has is closed with it. Idempotent. */
  close(): void {
    if (this.#closed || this.#server !== undefined) return
    this.#closed = true
    this.#holder.destroy()
  }

  #listening(server: Server, resolve: () => void): void {
    if (this.address !== undefined) ownPort(server, this.address.port)
    resolve()
  }
}

function register(socket: InheritedSocket): InheritedSocket {
  taken.set(socket.fd, socket)
  return socket
}

/** A number that nobody passed may be one of Node's own: of a pipe, a file, an event queue. */
function checkSocket(fd: number): void {
  let isSocket: boolean
  try {
    isSocket = fstatSync(fd).isSocket()
  } catch (cause) {
    throw unusable(fd, 'is not open: no socket was passed by this number', cause)
  }
  if (!isSocket) throw unusable(fd, 'is not a socket')
}

function hold(fd: number): Socket {
  try {
    return new Socket({ fd, readable: false, writable: false })
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') throw unusable(fd, 'is in use already', cause)
    if (errorCode(cause) !== 'ERR_INVALID_FD_TYPE') throw unusable(fd, `can't be used: ${errorCode(cause)}`, cause)
    const kind = String(cause).endsWith('UDP') ? 'a UDP socket' : 'a socket of another kind'
    throw unusable(fd, `is ${kind}: a listening TCP or Unix stream socket is needed (ListenStream=)`, cause)
  }
}

function listenProblem(fd: number, cause: Error): LinkSocksError {
  const code = errorCode(cause)
  if (code !== 'EINVAL') return unusable(fd, `can't be listened on: ${code}`, cause)
  return unusable(
    fd,
    'is not a socket that can listen, perhaps a connection: in a unit of systemd, say Accept=no',
    cause,
  )
}

function unusable(fd: number, problem: string, cause?: unknown): LinkSocksError {
  return new LinkSocksError('ERR_LISTEN', `descriptor ${fd} ${problem}`, { cause })
}
