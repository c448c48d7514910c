import {
  type ClientRequest,
  type IncomingMessage,
  type InformationEvent,
  request,
  type ServerResponse,
} from 'node:http'
import { LinkSocksError } from '../../errors.js'
import { MAX_HTTP_HEADER_BYTES } from '../../protocol/limits.js'
import { errorCode } from '../system/error-code.js'
import { endToEnd, forwardsLeft, hasBody, isPassable, trailersOf } from './head-rules.js'
import { HttpSocket } from './http-socket.js'
import type { OriginAgent } from './origin-agent.js'
import { answerOfDial, failure, headOf, type ProxyAnswer } from './proxy-answers.js'
import type { AbsoluteTarget } from './proxy-target.js'

export interface ForwardOptions {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  readonly to: AbsoluteTarget
  readonly agent: OriginAgent
  /** Fields of the request for this hop; the others are the client's. @default none */
  readonly hopFields?: readonly string[] | undefined
  /** The client waits for 100 before it sends its body. */
  readonly expectsContinue: boolean
  /** Answers in place of the origin, if nothing of its answer went out. */
  readonly fail: (answer: ProxyAnswer, error: LinkSocksError) => void
  /** The origin agreed to another protocol: both connections belong to this function then. */
  readonly upgraded?: Upgraded | undefined
}

export type Upgraded = (incoming: IncomingMessage, socket: HttpSocket) => void

/** Of OPTIONS, where the URL has no path (RFC 9112 section 3.2.4). */
const SERVER_AS_A_WHOLE = '*'
/** How a connection fails that its origin has ended or reset. */
const GONE = new Set(['ECONNRESET', 'ERR_STREAM_RESET'])
/** Methods whose request has a length even without a body (RFC 9110 section 8.6). */
const WITH_LENGTH = new Set(['POST', 'PUT', 'PATCH'])
/** Methods that do the same when they are sent twice, and nothing that matters (RFC 9110 section 9.2.1). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Passes a request in absolute form on to its origin, and the answer back, as both come. The slower side sets the
 * pace; when one breaks off, so does the other.
 */
export function forwardRequest(options: ForwardOptions): void {
  new Forwarding(options).begin()
}

class Forwarding {
  readonly #options: ForwardOptions
  readonly #hasBody: boolean
  /** It may be sent again. One that may not never takes a connection at rest, which may be gone (RFC 9110 section 9.2.2). */
  readonly #repeatable: boolean
  #incoming: IncomingMessage | undefined
  #retried = false
  #over = false

  constructor(options: ForwardOptions) {
    this.#options = options
    const { headers, method = '' } = options.message
    this.#hasBody = hasBody(headers)
    this.#repeatable = SAFE.has(method) && !this.#hasBody
  }

  begin(): void {
    const { message, agent, to } = this.#options
    agent.turnTo(to.authority, !this.#repeatable)
    const { host, port } = to.target
    const origin = request({
      agent,
      host,
      port,
      method: message.method,
      path: to.path || (message.method === 'OPTIONS' ? SERVER_AS_A_WHOLE : '/'),
      headers: this.#fields(),
      insecureHTTPParser: false,
      maxHeaderSize: MAX_HTTP_HEADER_BYTES,
    })
    // all that fit into the size
    origin.maxHeadersCount = 0
    this.#listen(origin)
    this.#sendBody(origin)
  }

  #fields(): string[] {
    const { message, to, hopFields = [] } = this.#options
    const { rawHeaders, headers, httpVersion, method = 'GET' } = message
    const left = forwardsLeft(message)
    const without = [
      'host',
      ...(httpVersion === '1.0' ? ['expect'] : []),
      ...(left === undefined ? [] : ['max-forwards']),
    ]
    const fields = ['Host', to.authority, ...endToEnd(rawHeaders, without), ...hopFields]
    if (left !== undefined) fields.push('Max-Forwards', String(left - 1))
    if (headers['transfer-encoding'] !== undefined) fields.push('Transfer-Encoding', 'chunked')
    else if (headers['content-length'] === undefined && WITH_LENGTH.has(method)) fields.push('Content-Length', '0')
    return fields
  }

  #listen(origin: ClientRequest): void {
    const { response, upgraded } = this.#options
    const left = (): void => {
      if (!response.writableFinished) this.#end(origin)
    }
    response.once('close', left)
    origin.on('information', (informed) => this.#inform(informed))
    origin.on('response', (incoming) => this.#answer(origin, incoming))
    origin.on('upgrade', (incoming, socket, head) => {
      response.off('close', left)
      if (upgraded === undefined || !(socket instanceof HttpSocket) || !isWebSocket(incoming)) {
        socket.destroy()
        return this.#failed(protocolError('an upgrade that nobody asked for'))
      }
      if (head.byteLength > 0) socket.unshift(head)
      this.#over = true
      upgraded(incoming, socket)
    })
    origin.on('error', (error) => this.#broken(origin, error))
  }

  /** The client's body, its trailers, and its end. */
  #sendBody(origin: ClientRequest): void {
    const { message } = this.#options
    if (!this.#hasBody) {
      origin.end()
      message.resume()
      return
    }
    // the body may come much later, and the origin answer before
    if (message.readableLength === 0) origin.flushHeaders()
    message.pipe(origin, { end: false })
    message.once('end', () => {
      const trailers = trailersOf(message.rawTrailers)
      if (trailers.length > 0) origin.addTrailers(trailers)
      origin.end()
    })
  }

  /** 1xx: to HTTP/1.0 there are none, and 100 is for a client that waits for it (RFC 9110 section 15.2). */
  #inform({ statusCode: status, httpVersion, rawHeaders }: InformationEvent): void {
    const { message, response, expectsContinue } = this.#options
    if (httpVersion !== '1.1' || message.httpVersion === '1.0' || response.headersSent || this.#over) return
    // there may be any number of them, and a client can do without
    if (response.socket === null || response.socket.writableNeedDrain) return
    if (status === 100) {
      if (expectsContinue) response.writeContinue()
      return
    }
    response.socket.write(headOf(status, endToEnd(rawHeaders, ['content-length'])), 'latin1')
  }

  #answer(origin: ClientRequest, incoming: IncomingMessage): void {
    const { message, response } = this.#options
    this.#incoming = incoming
    if (!isPassable(incoming)) {
      origin.destroy()
      return this.#failed(protocolError('a head that cannot be passed on'))
    }
    // the rest of the body may never come, and what comes in its place would be taken for it
    if (!message.complete) response.shouldKeepAlive = false
    response.sendDate = false
    response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage ?? '', fieldsOf(incoming))
    // the head may be all there is for long
    response.flushHeaders()
    incoming.pipe(response, { end: false })
    incoming.once('end', () => {
      if (response.chunkedEncoding) response.addTrailers(trailersOf(incoming.rawTrailers))
      response.end()
      if (!message.complete) this.#end(origin)
    })
    incoming.once('error', () => this.#cut())
    incoming.once('close', () => {
      if (!incoming.complete) this.#cut()
    })
  }

  #broken(origin: ClientRequest, error: Error): void {
    // what comes behind a whole answer is no part of it
    if (this.#incoming?.complete === true) return
    const again = origin.reusedSocket && !this.#retried && this.#repeatable && this.#incoming === undefined
    if (again && GONE.has(errorCode(error)) && !this.#over) {
      this.#retried = true
      return this.begin()
    }
    this.#failed(answerOfOrigin(error))
  }

  #failed({ answer, error }: Failure): void {
    const { response, fail } = this.#options
    if (this.#over) return
    if (response.headersSent || response.destroyed) return this.#cut()
    this.#over = true
    fail(answer, error)
  }

  /** The answer breaks off: the client must not take it for whole. */
  #cut(): void {
    const { response } = this.#options
    this.#over = true
    response.socket?.destroy(new LinkSocksError('ERR_STREAM_RESET', 'the origin broke off'))
  }

  #end(origin: ClientRequest): void {
    this.#over = true
    this.#options.message.unpipe(origin)
    origin.destroy(new LinkSocksError('ERR_CANCELLED', 'the client is gone'))
  }
}

/** Those of an answer that go on; 204 has no length (RFC 9110 section 8.6). */
function fieldsOf({ statusCode, rawHeaders }: IncomingMessage): string[] {
  return endToEnd(rawHeaders, statusCode === 204 ? ['content-length'] : [])
}

interface Failure {
  readonly answer: ProxyAnswer
  readonly error: LinkSocksError
}

function answerOfOrigin(thrown: Error): Failure {
  if (thrown instanceof LinkSocksError && thrown.code !== 'ERR_STREAM_RESET') {
    return { answer: answerOfDial(thrown), error: thrown }
  }
  const code = errorCode(thrown)
  if (code === 'HPE_HEADER_OVERFLOW') {
    return broken('http_response_header_section_size', 'the header of the answer is too large')
  }
  if (code.startsWith('HPE_')) return protocolError('no HTTP that can be passed on')
  return broken('http_response_incomplete', 'the origin ended the connection without an answer')
}

function protocolError(what: string): Failure {
  return broken('http_protocol_error', `the origin answered with ${what}`)
}

function broken(type: string, text: string): Failure {
  return { answer: failure(502, type, text), error: new LinkSocksError('ERR_HTTP', text) }
}

/** WebSockets are all that is asked for (see `hopFields`); whatever else an origin turns to was not agreed on (RFC 9110 section 7.8). */
function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}
