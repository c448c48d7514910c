import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { FailedAttempts } from '../../../src/inbound/failed-attempts.js'
import { connectTcp } from '../../../src/node/net/tcp-connect.js'
import { listenSocks, type SocksListenerOptions } from '../../../src/node/socks-listener.js'
import { nodeClock } from '../../../src/node/system/clock.js'
import type { Dialer, DialOptions, Target } from '../../../src/ports.js'
import { MemoryLog } from '../../socks/fixture.js'
import { type RawAnswer, rawHttp } from '../../support/raw-http.js'

/** Connects to 127.0.0.1, whatever the host; `refuse` fails every request with its error. */
export class LocalDialer implements Dialer {
  readonly dialled: Target[] = []
  readonly options: DialOptions[] = []
  refuse: LinkSocksError | undefined

  async dial(target: Target, options: DialOptions = {}) {
    this.dialled.push(target)
    this.options.push(options)
    if (this.refuse !== undefined) throw this.refuse
    return connectTcp({ host: '127.0.0.1', port: target.port }, options)
  }

  associate(): Promise<never> {
    return Promise.reject(new LinkSocksError('ERR_DIAL_UNSUPPORTED', 'no UDP here'))
  }
}

export interface Proxy {
  readonly port: number
  readonly dialer: LocalDialer
  readonly log: MemoryLog
  readonly attempts: FailedAttempts
  /** Sends bytes and gives all that came until the connection ended. */
  send(...parts: (string | Uint8Array)[]): Promise<RawAnswer>
}

/** A proxy port that is closed with the test. */
export async function openProxy(
  options: Partial<SocksListenerOptions> & { readonly user?: { username: string; password: string } } = {},
): Promise<Proxy> {
  const { user, ...rest } = options
  const dialer = new LocalDialer()
  const log = new MemoryLog()
  const attempts = new FailedAttempts(nodeClock)
  const listener = await listenSocks({
    host: '127.0.0.1',
    port: 0,
    credentials: () => user,
    dialer,
    log,
    unauthorized: (address) => attempts.note(address, 'socks'),
    ...rest,
  })
  onTestFinished(() => listener.close())
  const { port } = listener.address
  return { port, dialer, log, attempts, send: (...parts) => rawHttp(port, ...parts) }
}

function listening(server: HttpServer | ReturnType<typeof createServer>): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

/** An HTTP server on this machine. @returns its port */
export function httpOrigin(answer: RequestListener): Promise<number> {
  const server = createHttpServer(answer)
  server.maxHeadersCount = 0
  return listening(server)
}

/** A TCP server on this machine. @returns its port */
export function tcpOrigin(accept: (socket: Socket) => void): Promise<number> {
  return listening(createServer({ allowHalfOpen: true }, accept))
}

/** A connection to a port of this machine, and all that came on it so far. */
export class RawClient {
  readonly socket: Socket
  text = ''
  ended = false
  readonly closed: Promise<void>
  #look: () => void = () => {}

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    this.socket.setEncoding('latin1')
    this.socket.setNoDelay()
    this.socket.on('data', (chunk: string) => {
      this.text += chunk
      this.#look()
    })
    this.socket.on('end', () => {
      this.ended = true
      this.#look()
    })
    this.socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.ended = true
        this.#look()
        resolve()
      })
    })
    onTestFinished(() => void this.socket.destroy())
  }

  write(bytes: string | Uint8Array): void {
    this.socket.write(bytes, 'latin1')
  }

  /** Until what came holds `pattern`. Fails when the other side has ended before. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text)
      if (found !== null) return found
      if (this.ended) throw new Error(`ended with ${JSON.stringify(this.text.slice(0, 500))}`)
      await new Promise<void>((resolve) => {
        this.#look = resolve
      })
    }
  }
}
