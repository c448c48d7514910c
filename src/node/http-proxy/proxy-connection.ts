import type { IncomingMessage, ServerResponse } from 'node:http'
import { LinkSocksError } from '../../errors.js'
import type { HttpClient } from '../../inbound/serve-http.js'
import type { ByteStream, Target } from '../../ports.js'
import { serveConnectRequest } from './connect-request.js'
import { limitHalfClosed } from './half-closed.js'
import { HeadDeadlines } from './head-deadlines.js'
import { HttpSocket } from './http-socket.js'
import { OriginAgent } from './origin-agent.js'
import { OwnAnswers } from './own-answers.js'
import { type ProxyAnswer, rendered } from './proxy-answers.js'
import { RequestQueue } from './request-queue.js'
import { RequestService } from './request-service.js'
import { serveUpgradeRequest } from './upgrade-request.js'

/** Requests that one connection may carry; the last one is answered with `Connection: close`. */
const MAX_REQUESTS_PER_CONNECTION = 10_000

const NOTHING = new Uint8Array(0)

/** One client's connection: its requests in turn, until it is gone or joined with a far end. */
export class ProxyConnection {
  readonly socket: HttpSocket
  readonly #client: HttpClient
  readonly #answers: OwnAnswers
  readonly #agent: OriginAgent
  readonly #service: RequestService
  readonly #deadlines: HeadDeadlines
  readonly #queue: RequestQueue
  /** Requests that have come. */
  #requests = 0
  /** The request that was read last. */
  #last: IncomingMessage | undefined
  /** The request that was served last, or is. */
  #serving: IncomingMessage | undefined
  #answering: ServerResponse | undefined
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
    this.#deadlines = new HeadDeadlines({
      clock: client.clock,
      firstHeadMs: client.headTimeoutMs,
      late: () => this.#fail(408, new LinkSocksError('ERR_SOCKS_TIMEOUT', 'no whole request came in time')),
      idle: () => this.socket.destroySoon(),
    })
    this.socket = new HttpSocket(client.stream, {
      bytesCame: () => this.#deadlines.bytesCame(),
      atHead: () => this.#last?.complete !== false,
    })
    this.#answers = new OwnAnswers(client)
    this.#agent = new OriginAgent((target, signal) => this.#dial(target, signal))
    const [agent, answers] = [this.#agent, this.#answers]
    this.#service = new RequestService({ client, names, agent, answers, broken: () => this.#broken })
    this.#queue = new RequestQueue({
      over: () => this.#joined || !this.socket.writable,
      empty: () => this.#rest(),
      full: () => this.socket.hold(),
      freed: () => this.socket.letGo(),
      // costs this connection alone
      failed: (error) => this.#fail(500, error, error),
    })
    this.socket.on('error', () => {})
    this.socket.once('close', () => this.#closed())
    limitHalfClosed(this.socket, client.clock)
    const { departure } = client
    const unlisten = departure?.onBegun(() => this.#deadlines.leave())
    if (departure?.begun === true) this.#deadlines.leave()
    if (unlisten !== undefined) void this.over.then(unlisten)
  }

  /** A request has come, other than CONNECT. */
  request(message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    this.#respond(message, response, () => {
      this.#serving = message
      return this.#service.serve(message, response, expectsContinue)
    })
  }

  /** A request has come that is not even looked at. */
  refuse(message: IncomingMessage, response: ServerResponse, answer: ProxyAnswer): void {
    this.#respond(message, response, async () => this.#answers.reject(response, answer))
  }

  /** A CONNECT has come, and `head` behind it. */
  connect(message: IncomingMessage, head: Uint8Array): void {
    this.#leaveParser(head)
    const [client, answers] = [this.#client, this.#answers]
    const takeStream = (): Promise<ByteStream> => this.#takeStream()
    this.#enqueue(() =>
      serveConnectRequest(message, { client, answers, takeStream }).finally(() => {
        if (this.#joined) this.#over()
      }),
    )
  }

  /** A request to become a WebSocket has come. */
  upgrade(message: IncomingMessage, head: Uint8Array): void {
    this.#leaveParser(head)
    const options = {
      socket: this.socket,
      takeStream: () => this.#takeStream(),
      joined: () => this.#over(),
      gone: () => this.#client.gone(),
    }
    this.#enqueue(() =>
      serveUpgradeRequest(message, options, (response, upgraded) =>
        this.#service.serveUpgrade(message, response, upgraded),
      ),
    )
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
      this.#answers.log(answer)
      return void this.socket.destroy(new LinkSocksError('ERR_HTTP', answer.text))
    }
    this.#enqueue(async () => {
      this.#answers.log(answer)
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
      // what has come already is answered before
      if (this.#client.departure?.begun === true && this.#last === message) response.shouldKeepAlive = false
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
    this.#deadlines.stop()
    this.#queue.add(serve)
  }

  #rest(): void {
    if (!this.#joined && !this.socket.destroyed) this.#deadlines.rest()
  }

  #fail(status: number, error: LinkSocksError, logged?: LinkSocksError): void {
    this.#answers.log({ status, text: error.message }, undefined, logged)
    this.socket.destroy(error)
  }

  #closed(): void {
    this.#deadlines.stop()
    this.#agent.destroy()
    if (this.#joined) return
    this.#client.gone()
    this.#over()
  }

  /** The stream, once all answers have left. What was read and not used comes again. */
  async #takeStream(): Promise<ByteStream> {
    this.#deadlines.stop()
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
}
