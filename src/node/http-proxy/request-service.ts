import type { IncomingMessage, ServerResponse } from 'node:http'
import type { LinkSocksError } from '../../errors.js'
import type { HttpClient } from '../../inbound/serve-http.js'
import { type ForwardOptions, forwardRequest, type Upgraded } from './forward-request.js'
import { forwardsLeft, hasBody, headProblem, hopFieldsOf } from './head-rules.js'
import type { OriginAgent } from './origin-agent.js'
import type { OwnAnswers } from './own-answers.js'
import { pageFor } from './port-pages.js'
import type { ProxyAnswer } from './proxy-answers.js'
import { admit } from './proxy-authorization.js'
import { type AbsoluteTarget, parseAbsolute, wrongTarget } from './proxy-target.js'

export interface RequestServiceOptions {
  readonly client: HttpClient
  /** By which the port may be asked for its pages, besides addresses. */
  readonly names: readonly string[]
  readonly agent: OriginAgent
  readonly answers: OwnAnswers
  /** The answer to what came last, when that was no HTTP. */
  readonly broken: () => ProxyAnswer | undefined
}

/** Serves requests other than CONNECT: passes each on to its origin, or answers it here. */
export class RequestService {
  readonly #options: RequestServiceOptions

  constructor(options: RequestServiceOptions) {
    this.#options = options
  }

  async serve(message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    // the parser reads no other behind one that asked for another protocol
    if (message.headers.upgrade !== undefined) response.shouldKeepAlive = false
    const to = await this.#targetOf(message, response)
    if (to === undefined || this.#reflects(message, response)) return
    this.#forward({ message, response, to, expectsContinue, hopFields: hopFieldsOf(message) })
  }

  /** A request to become a WebSocket. @param upgraded called when the origin has switched */
  async serveUpgrade(message: IncomingMessage, response: ServerResponse, upgraded: Upgraded): Promise<void> {
    const { headers } = message
    if (hasBody(headers)) {
      return this.#options.answers.reject(response, { status: 400, text: 'an upgrade has no body' })
    }
    const to = await this.#targetOf(message, response)
    if (to === undefined) return
    const hopFields = ['Connection', 'Upgrade', 'Upgrade', headers.upgrade ?? '']
    this.#forward({ message, response, to, expectsContinue: false, hopFields, upgraded })
  }

  /** Where a request leads, if it may be passed on; otherwise it is answered here. */
  async #targetOf(message: IncomingMessage, response: ServerResponse): Promise<AbsoluteTarget | undefined> {
    const { url = '', complete } = message
    const { client, answers, broken } = this.#options
    const problem = (complete ? undefined : broken()) ?? headProblem(message)
    if (problem !== undefined) return answers.reject(response, problem)
    if (url.startsWith('/')) return this.#page(message, response)
    const admission = await admit(client, message)
    if (admission !== 'admitted') return answers.refuse(response, admission)
    return parseAbsolute(url) ?? answers.reject(response, { status: 400, text: wrongTarget(url) })
  }

  #forward(options: Omit<ForwardOptions, 'agent' | 'fail'>): void {
    const { agent, answers } = this.#options
    const { response, to } = options
    const fail = (answer: ProxyAnswer, error: LinkSocksError): void =>
      answers.refuse(response, answer, to.target, error)
    forwardRequest({ ...options, agent, fail })
  }

  /** OPTIONS and TRACE that may go no further (RFC 9110 section 7.6.2). */
  #reflects(message: IncomingMessage, response: ServerResponse): boolean {
    if (forwardsLeft(message) !== 0) return false
    const unsupported: ProxyAnswer = { status: 501, text: 'this proxy reflects no requests' }
    if (message.method === 'TRACE') this.#options.answers.give(response, unsupported)
    else response.writeHead(200, { 'Content-Length': '0' }).end()
    return true
  }

  #page(message: IncomingMessage, response: ServerResponse): undefined {
    const { method = 'GET', url = '/', headers } = message
    const { client, names } = this.#options
    const { protocols, credentials, localAddress } = client
    const page = pageFor(
      { method, url, host: headers.host },
      { protocols, password: credentials !== undefined, local: localAddress(), names },
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
}
