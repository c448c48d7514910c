import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { addressText } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import type { HttpClient } from '../../inbound/serve-http.js'
import type { ByteStream, Target, Timer } from '../../ports.js'
import { type ConnectAnswers, serveConnect } from '../../socks/connect.js'
import { flushAndClose } from '../../socks/connection.js'
import { HandshakeStream } from '../../streams/handshake-stream.js'
import { pump } from '../../streams/pump.js'
import { type ForwardOptions, forwardRequest, type Upgraded } from './forward-request.js'
import { limitHalfClosed } from './half-closed.js'
import { endToEnd, forwardsLeft, hasBody, headProblem, hopFieldsOf } from './head-rules.js'
import { HttpSocket } from './http-socket.js'
import { OriginAgent } from './origin-agent.js'
import { pageFor } from './port-pages.js'
import { answerOfDial, headOf, type ProxyAnswer, rendered, TEXT } from './proxy-answers.js'
import { admit } from './proxy-authorization.js'
import { type AbsoluteTarget, parseAbsolute, parseConnect, wrongTarget } from './proxy-target.js'

/** From the first byte of a later request to the end of its head. */
const HEAD_TIMEOUT_MS = 10_000
/** A connection between two requests. */
export const PROXY_IDLE_MS = 60_000
/** Requests that one connection may carry; the last one is answered with `Connection: close`. */
const MAX_REQUESTS_PER_CONNECTION = 10_000
/** Requests of one connection that wait for their turn, besides the one that is served. */
const MAX_WAITING_REQUESTS = 64

const CONNECT_ANSWERS: ConnectAnswers = {
  inbound: 'http',
  succeeded: Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n'),
  failed: (error) => rendered(answerOfDial(error)),
}

const NOTHING = new Uint8Array(0)

/** One client's connection: its requests in turn, until it is gone or joined with a far end. */
export class ProxyConnection {
  readonly socket: HttpSocket
  readonly #client: HttpClient
  readonly #names: readonly string[]
  readonly #agent: OriginAgent
  #queue: Promise<void> = Promise.resolve()
  /** Requests that have come. */
  #requests = 0
  /** Requests that are not answered. */
  #open = 0
  /** The request that was read last. */
  #last: IncomingMessage | undefined
  /** The request that was served last, or is. */
  #serving: IncomingMessage | undefined
  #answering: ServerResponse | undefined
  #timer: Timer | undefined
  #idle = false
  /** What came is no HTTP any more. */
  #broken: ProxyAnswer | undefined
  /** The stream is no longer this connection's. */
  #joined = false
  #over = (): void => {}
  /** Settles when the client's connection is gone, or joined with a far end. */
  readonly over: Promise<void> = new Promise((resolve) => {
    this.#over = resolve
  })

  constructor(client: HttpClient, names: readonly string[]) {
    this.#client = client
    this.#names = names
    this.socket = new HttpSocket(client.stream, () => this.#bytesCame())
    this.#agent = new OriginAgent((target, signal) => this.#dial(target, signal))
    this.socket.on('error', () => {})
    this.socket.once('close', () => this.#closed())
    limitHalfClosed(this.socket, client.clock)
    this.#limit(client.headTimeoutMs)
  }

  /** A request has come, other than CONNECT. */
  request(message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    this.#respond(message, response, () => this.#serve(message, response, expectsContinue))
  }

  /** A request has come that is not even looked at. */
  refuse(message: IncomingMessage, response: ServerResponse, answer: ProxyAnswer): void {
    this.#respond(message, response, async () => this.#reject(response, answer))
  }

  /** A CONNECT has come, and `head` behind it. */
  connect(message: IncomingMessage, head: Uint8Array): void {
    this.#leaveParser(head)
    this.#enqueue(() => this.#tunnel(message))
  }

  /** A request to become a WebSocket has come. */
  upgrade(message: IncomingMessage, head: Uint8Array): void {
    this.#leaveParser(head)
    this.#enqueue(() => this.#upgrade(message))
  }

  /** What came last is to be read again, by `read`, after the answers before it: a new parser would not wait for them. */
  readAgain(read: () => void): void {
    this.#leaveParser(NOTHING)
    this.#enqueue(async () => read())
  }

  /** What came is no HTTP. What was asked before is answered first, unless it was in the body of that. */
  broken(answer: ProxyAnswer): void {
    // the parser says so again with each further piece
    if (this.#broken !== undefined) return
    this.#broken = answer
    const last = this.#last
    if (last?.complete === false) {
      // one that was not begun is refused in its turn
      if (last !== this.#serving) return
      this.#log(answer, undefined)
      return void this.socket.destroy(new LinkSocksError('ERR_HTTP', answer.text))
    }
    this.#enqueue(async () => {
      this.#log(answer, undefined)
      this.socket.write(rendered(answer))
      this.socket.destroySoon()
    })
  }

  #respond(message: IncomingMessage, response: ServerResponse, serve: () => Promise<void>): void {
    message.on('error', () => {})
    response.on('error', () => {})
    this.#last = message
    this.#requests += 1
    if (this.#requests >= MAX_REQUESTS_PER_CONNECTION) response.shouldKeepAlive = false
    this.#enqueue(async () => {
      const closed = new Promise((resolve) => response.once('close', resolve))
      this.#answering = response
      await serve()
      if (!response.closed) await closed
    })
  }

  /** Node has taken its listeners away, and answers may still be on their way. @param head bytes that it read too many */
  #leaveParser(head: Uint8Array): void {
    if (head.byteLength > 0) this.socket.unshift(head)
    this.socket.on('drain', () => this.#answering?.emit('drain'))
  }

  #enqueue(serve: () => Promise<void>): void {
    this.#timer?.cancel()
    this.#idle = false
    this.#open += 1
    if (this.#open > MAX_WAITING_REQUESTS + 1) {
      return void this.socket.destroy(new LinkSocksError('ERR_LIMIT', 'too many requests at once'))
    }
    this.#queue = this.#queue.then(async () => {
      // an answer may have been the last one
      if (this.#joined || !this.socket.writable) return
      await this.#unlessItThrows(serve)
      this.#open -= 1
      if (this.#open === 0 && !this.#joined && !this.socket.destroyed) this.#rest()
    })
  }

  /** What nobody expected costs this connection alone. */
  async #unlessItThrows(serve: () => Promise<void>): Promise<void> {
    try {
      await serve()
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_HTTP')
      this.#log({ status: 500, text: error.message }, undefined, error)
      this.socket.destroy(error)
    }
  }

  /** Between two requests. */
  #rest(): void {
    this.#idle = true
    this.#limit(PROXY_IDLE_MS)
  }

  #bytesCame(): void {
    if (!this.#idle) return
    this.#idle = false
    this.#limit(HEAD_TIMEOUT_MS)
  }

  #limit(ms: number): void {
    this.#timer?.cancel()
    this.#timer = this.#client.clock.after(ms, () => {
      if (this.#idle) return this.socket.destroySoon()
      const error = new LinkSocksError('ERR_SOCKS_TIMEOUT', 'no whole request came in time')
      this.#log({ status: 408, text: error.message }, undefined)
      this.socket.destroy(error)
    })
  }

  #closed(): void {
    this.#timer?.cancel()
    this.#agent.destroy()
    if (this.#joined) return
    this.#client.gone()
    this.#over()
  }

  async #serve(message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    this.#serving = message
    // the parser reads no other behind one that asked for another protocol
    if (message.headers.upgrade !== undefined) response.shouldKeepAlive = false
    const to = await this.#targetOf(message, response)
    if (to === undefined || this.#reflects(message, response)) return
    this.#forward({ message, response, to, expectsContinue, hopFields: hopFieldsOf(message) })
  }

  /** Where a request leads, if it may be passed on; otherwise it is answered here. */
  async #targetOf(message: IncomingMessage, response: ServerResponse): Promise<AbsoluteTarget | undefined> {
    const { url = '', complete } = message
    const problem = (complete ? undefined : this.#broken) ?? headProblem(message)
    if (problem !== undefined) return this.#reject(response, problem)
    if (url.startsWith('/')) return this.#page(message, response)
    const admission = await admit(this.#client, message)
    if (admission !== 'admitted') return this.#refuse(response, admission)
    return parseAbsolute(url) ?? this.#reject(response, { status: 400, text: wrongTarget(url) })
  }

  #forward(options: Omit<ForwardOptions, 'agent' | 'fail'>): void {
    const { response, to } = options
    const fail = (answer: ProxyAnswer, error: LinkSocksError): void => this.#refuse(response, answer, to.target, error)
    forwardRequest({ ...options, agent: this.#agent, fail })
  }

  /** OPTIONS and TRACE that may go no further (RFC 9110 section 7.6.2). */
  #reflects(message: IncomingMessage, response: ServerResponse): boolean {
    if (forwardsLeft(message) !== 0) return false
    if (message.method === 'TRACE') this.#answer(response, { status: 501, text: 'this proxy reflects no requests' })
    else response.writeHead(200, { 'Content-Length': '0' }).end()
    return true
  }

  #page(message: IncomingMessage, response: ServerResponse): undefined {
    const { method = 'GET', url = '/', headers } = message
    const { protocols, credentials, localAddress } = this.#client
    const page = pageFor(
      { method, url, host: headers.host },
      { protocols, password: credentials !== undefined, local: localAddress(), names: this.#names },
    )
    const body = Buffer.from(page.body)
    // a client that reads it has proven nothing
    response.shouldKeepAlive = false
    response.writeHead(page.status, {
      'Content-Type': page.type,
      'Content-Length': body.byteLength,
      ...page.headers,
    })
    response.end(method === 'HEAD' ? undefined : body)
  }

  async #tunnel(message: IncomingMessage): Promise<void> {
    const { url = '' } = message
    const problem = headProblem(message)
    const admission = problem ?? (await admit(this.#client, message))
    const target = parseConnect(url)
    const handshake = new HandshakeStream(await this.#takeStream())
    const { dialer, clock, log, localAddress, remoteAddress, gone } = this.#client
    const refuse = async (answer: ProxyAnswer): Promise<void> => {
      this.#log(answer, target)
      handshake.write(rendered(answer))
      await flushAndClose(handshake, clock)
      gone()
    }
    try {
      if (admission !== 'admitted') return await refuse(admission)
      if (target === undefined) return await refuse({ status: 400, text: 'CONNECT wants host:port' })
      const options = { dialer, clock, log, localAddress, remoteAddress }
      await serveConnect({ handshake, options, closed: gone }, target, CONNECT_ANSWERS)
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
      this.#log(answerOfDial(error), target, error)
      await flushAndClose(handshake, clock)
      gone()
    } finally {
      this.#over()
    }
  }

  async #upgrade(message: IncomingMessage): Promise<void> {
    const response = new ServerResponse(message)
    response.assignSocket(this.socket as unknown as Socket)
    response.shouldKeepAlive = false
    response.on('error', () => {})
    const finished = new Promise<void>((resolve) => {
      response.once('finish', () => {
        this.socket.destroySoon()
        resolve()
      })
      this.socket.once('close', resolve)
    })
    const joined = new Promise<void>((resolve, reject) => {
      const join: Upgraded = (incoming, far) => void this.#join(incoming, far).then(resolve, reject)
      this.#serveUpgrade(message, response, join).catch(reject)
    })
    await Promise.race([finished, joined])
  }

  async #serveUpgrade(message: IncomingMessage, response: ServerResponse, upgraded: Upgraded): Promise<void> {
    const { headers } = message
    if (hasBody(headers)) return this.#reject(response, { status: 400, text: 'an upgrade has no body' })
    const to = await this.#targetOf(message, response)
    if (to === undefined) return
    const hopFields = ['Connection', 'Upgrade', 'Upgrade', headers.upgrade ?? '']
    this.#forward({ message, response, to, expectsContinue: false, hopFields, upgraded })
  }

  /** The origin has switched: both connections are joined, and nothing of them is HTTP any more. */
  async #join({ statusCode = 101, rawHeaders, headers }: IncomingMessage, far: HttpSocket): Promise<void> {
    const kept = endToEnd(rawHeaders, ['content-length'])
    const fields = [...kept, 'Connection', 'Upgrade', 'Upgrade', headers.upgrade ?? '']
    this.socket.write(headOf(statusCode, fields), 'latin1')
    far.on('error', () => {})
    const origin = far.release()
    const client = await this.#takeStream()
    pump(client, origin, () => this.#client.gone())
    this.#over()
  }

  /** The stream, once all answers have left. What was read and not used comes again. */
  async #takeStream(): Promise<ByteStream> {
    this.#timer?.cancel()
    const { socket } = this
    if (socket.writableLength > 0) {
      await new Promise<void>((resolve) => {
        socket.once('close', resolve)
        socket.write('', () => resolve())
      })
    }
    this.#joined = true
    return socket.release()
  }

  #dial(target: Target, signal: AbortSignal): Promise<ByteStream> {
    const { dialer, source } = this.#client
    return dialer.dial(target, { signal, source, inbound: 'http' })
  }

  /** Refuses a request that is broken: nothing that follows it is believed. */
  #reject(response: ServerResponse, answer: ProxyAnswer): undefined {
    response.shouldKeepAlive = false
    this.#refuse(response, answer)
  }

  #refuse(response: ServerResponse, answer: ProxyAnswer, target?: Target, error?: LinkSocksError): undefined {
    this.#log(answer, target, error)
    this.#answer(response, answer)
  }

  #answer(response: ServerResponse, { status, text, headers }: ProxyAnswer): undefined {
    if (response.headersSent || response.destroyed) return
    // the rest of a body that nobody reads would be taken for the next request
    if (!response.req.complete) response.shouldKeepAlive = false
    const body = Buffer.from(`${text}\n`)
    response.writeHead(status, { ...TEXT, 'Content-Length': body.byteLength, ...headers })
    response.end(response.req.method === 'HEAD' ? undefined : body)
  }

  #log({ status, text, usual, ...answer }: ProxyAnswer, target?: Target, error?: LinkSocksError): void {
    const code = answer.code ?? error?.code
    const { log, remoteAddress } = this.#client
    const level = usual || code === 'ERR_CANCELLED' || code === 'ERR_STREAM_RESET' ? 'debug' : 'info'
    log[level]('proxy.failed', {
      client: remoteAddress.host,
      target: target && addressText(target),
      status,
      code,
      error: text,
    })
  }
}
