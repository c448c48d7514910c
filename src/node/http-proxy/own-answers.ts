import type { ServerResponse } from 'node:http'
import { addressText } from '../../address.js'
import type { LinkSocksError } from '../../errors.js'
import type { HttpClient } from '../../inbound/serve-http.js'
import type { Target } from '../../ports.js'
import { type ProxyAnswer, TEXT } from './proxy-answers.js'

/** Answers that one client gets from the proxy itself, and their lines in the log. */
export class OwnAnswers {
  readonly #client: Pick<HttpClient, 'log' | 'remoteAddress'>

  constructor(client: Pick<HttpClient, 'log' | 'remoteAddress'>) {
    this.#client = client
  }

  /** Refuses a request that is broken: nothing that follows it is believed. */
  reject(response: ServerResponse, answer: ProxyAnswer): undefined {
    response.shouldKeepAlive = false
    this.refuse(response, answer)
  }

  refuse(response: ServerResponse, answer: ProxyAnswer, target?: Target, error?: LinkSocksError): undefined {
    this.log(answer, target, error)
    this.give(response, answer)
  }

  give(response: ServerResponse, { status, text, headers }: ProxyAnswer): undefined {
    if (response.headersSent || response.destroyed) return
    // the rest of a body that nobody reads would be taken for the next request
    if (!response.req.complete) response.shouldKeepAlive = false
    const body = Buffer.from(`${text}\n`)
    response.writeHead(status, { ...TEXT, 'Content-Length': body.byteLength, ...headers })
    response.end(response.req.method === 'HEAD' ? undefined : body)
  }

  log({ status, text, usual, ...answer }: ProxyAnswer, target?: Target, error?: LinkSocksError): void {
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
