import type { IncomingMessage } from 'node:http'
import { LinkSocksError } from '../../errors.js'
import type { HttpClient } from '../../inbound/serve-http.js'
import type { ByteStream } from '../../ports.js'
import { type ConnectAnswers, serveConnect } from '../../socks/connect.js'
import { flushAndClose } from '../../socks/connection.js'
import { HandshakeStream } from '../../streams/handshake-stream.js'
import { headProblem } from './head-rules.js'
import type { OwnAnswers } from './own-answers.js'
import { answerOfDial, type ProxyAnswer, rendered } from './proxy-answers.js'
import { admit } from './proxy-authorization.js'
import { parseConnect } from './proxy-target.js'

const CONNECT_ANSWERS: ConnectAnswers = {
  inbound: 'http',
  succeeded: Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n'),
  failed: (error) => rendered(answerOfDial(error)),
}

export interface ConnectRequestOptions {
  readonly client: HttpClient
  readonly answers: OwnAnswers
  /** Gives the client's stream, once all answers before have left. */
  readonly takeStream: () => Promise<ByteStream>
}

/** Serves a CONNECT: the client's stream is joined with the target's, or refused and gone, when the promise settles. */
export async function serveConnectRequest(message: IncomingMessage, options: ConnectRequestOptions): Promise<void> {
  const { client, answers, takeStream } = options
  const { dialer, clock, log, localAddress, remoteAddress, gone } = client
  const admission = headProblem(message) ?? (await admit(client, message))
  const target = parseConnect(message.url ?? '')
  const handshake = new HandshakeStream(await takeStream())
  const refuse = async (answer: ProxyAnswer): Promise<void> => {
    answers.log(answer, target)
    handshake.write(rendered(answer))
    await flushAndClose(handshake, clock)
    gone()
  }
  try {
    if (admission !== 'admitted') return await refuse(admission)
    if (target === undefined) return await refuse({ status: 400, text: 'CONNECT wants host:port' })
    const connect = { dialer, clock, log, localAddress, remoteAddress }
    await serveConnect({ handshake, options: connect, closed: gone }, target, CONNECT_ANSWERS)
  } catch (thrown) {
    const error = LinkSocksError.from(thrown, 'ERR_DIAL_FAILED')
    answers.log(answerOfDial(error), target, error)
    await flushAndClose(handshake, clock)
    gone()
  }
}
