import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { HttpClient, ServeHttp } from '../../inbound/serve-http.js'
import { MAX_HTTP_HEADER_BYTES } from '../../protocol/limits.js'
import { serveWithoutUpgrade, wantsWebSocket } from '../http/http-upgrade.js'
import { PROXY_IDLE_MS } from './head-deadlines.js'
import { OTHER_VERSION } from './head-rules.js'
import type { ProxyAnswer } from './proxy-answers.js'
import { ProxyConnection } from './proxy-connection.js'

/**
 * An HTTP/1.1 proxy (RFC 9110, RFC 9112) for the connections of one port: CONNECT, absolute form, and two pages of its own. What
 * comes is read by Node's parser.
 * @param names by which the port may be asked for its pages, besides addresses
 */
export function httpProxy(names: readonly string[]): ServeHttp {
  const proxy = new HttpProxy(names.map((name) => name.toLowerCase()))
  return (client) => proxy.serve(client)
}

/** Answers to what Node's parser cannot read, by its codes. */
const BROKEN: Readonly<Record<string, ProxyAnswer>> = {
  HPE_HEADER_OVERFLOW: { status: 431, text: 'the header is too large' },
  HPE_INVALID_METHOD: { status: 501, text: 'a method that is not known here' },
  HPE_PAUSED_H2_UPGRADE: OTHER_VERSION,
}

/** To an Expect other than 100-continue (RFC 9110 section 10.1.1). */
const EXPECTATION_FAILED: ProxyAnswer = { status: 417, text: 'nothing but 100-continue can be expected here' }

class HttpProxy {
  readonly #names: readonly string[]
  readonly #connections = new WeakMap<Duplex, ProxyConnection>()
  readonly #server: Server

  constructor(names: readonly string[]) {
    this.#names = names
    const settings = {
      // known to Node 24.9 and later
      shouldUpgradeCallback: upgrades,
      // whatever --insecure-http-parser says
      insecureHTTPParser: false,
      maxHeaderSize: MAX_HTTP_HEADER_BYTES,
      keepAliveTimeout: PROXY_IDLE_MS,
      // judged by headProblem(), with all that Node lets through
      requireHostHeader: false,
    }
    this.#server = createServer(settings)
    // a field that is left out is one that the origin does not get: the size bounds them
    this.#server.maxHeadersCount = 0
    // a client may end its side and wait for the answer (RFC 9112 section 9.6); not in Node's types
    Object.assign(this.#server, { httpAllowHalfOpen: true })
    this.#attach()
  }

  serve(client: HttpClient): Promise<void> {
    const connection = new ProxyConnection(client, this.#names)
    this.#connections.set(connection.socket, connection)
    this.#server.emit('connection', connection.socket)
    return connection.over
  }

  #attach(): void {
    const server = this.#server
    const of = ({ socket }: IncomingMessage): ProxyConnection | undefined => this.#connections.get(socket)
    const request = (message: IncomingMessage, response: ServerResponse): void =>
      of(message)?.request(message, response, false)
    server.on('request', request)
    server.on('checkExpectation', (message, response) => of(message)?.refuse(message, response, EXPECTATION_FAILED))
    server.on('checkContinue', (message, response) => of(message)?.request(message, response, true))
    server.on('connect', (message, _socket, head) => of(message)?.connect(message, head))
    server.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => {
      const connection = of(message)
      if (upgrades(message)) connection?.upgrade(message, head)
      else connection?.readAgain(() => serveWithoutUpgrade(server, message, socket, head))
    })
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const connection = this.#connections.get(socket)
      if (error.code?.startsWith('HPE_') !== true) return void socket.destroy()
      connection?.broken(BROKEN[error.code] ?? { status: 400, text: 'no HTTP/1.1 that can be passed on' })
    })
  }
}

/** Whether a request asks for what can be passed on; HTTP/1.0 has no upgrades (RFC 9110 section 7.8). */
function upgrades(message: IncomingMessage): boolean {
  return message.httpVersion === '1.1' && wantsWebSocket(message)
}
