import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { LinkSocksError } from '../../errors.js'
import { remoteText } from '../../log.js'
import { MAX_HTTP_HEADER_BYTES } from '../../protocol/limits.js'
import { redactAnswer } from '../../redact.js'
import { errorCode } from '../system/error-code.js'
import { isTlsProof, TLS_PROOF_FIELD, tlsProof } from '../tls/shared-tls.js'
import { HandshakeSocket, WS_OPTIONS } from '../websocket/ws-handshake.js'
import { WsTransport } from '../websocket/ws-transport.js'
import { withUserAgent } from './user-agent.js'

/** How much of a refusal's body is read to say why. */
const MAX_REASON_BYTES = 1024
/** How long that is waited for. */
const REASON_TIMEOUT_MS = 1_000
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** A server's answer that leads elsewhere. */
export interface Redirect {
  readonly status: number
  /** As the server wrote it. */
  readonly location: string
}

export interface UpgradeRequest {
  /** ws or wss, query included. */
  readonly url: string
  /** Connected, TLS done. */
  readonly socket: Socket
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/**
 * Asks for the WebSocket at `url` on a connection that is open (RFC 6455 section 4.1).
 * @throws {LinkSocksError} ERR_CONNECT with the server's answer or what is wrong with it; ERR_OPTION for a header that
 *   can't be sent; the reason of `signal`
 */
export function upgrade(request: UpgradeRequest): Promise<WsTransport | Redirect> {
  return new Promise((resolve, reject) => {
    const { socket, signal } = request
    if (signal.aborted) return reject(LinkSocksError.cancelled(signal))
    const ws = openWebSocket(request)
    const onAbort = (): void => reject(LinkSocksError.cancelled(signal))
    signal.addEventListener('abort', onAbort)
    const settle = (): void => signal.removeEventListener('abort', onAbort)
    let sharesTls = false
    ws.on('upgrade', ({ headers }) => {
      sharesTls = isTlsProof(headers[TLS_PROOF_FIELD.toLowerCase()], socket, 'server')
    })
    ws.on('open', () => {
      settle()
      resolve(new WsTransport(ws.upgraded, 'client', sharesTls))
    })
    ws.on('unexpected-response', (_request, response) => {
      settle()
      const { statusCode = 0, headers } = response
      if (REDIRECTS.has(statusCode) && headers.location !== undefined) {
        socket.destroy()
        return resolve({ status: statusCode, location: headers.location })
      }
      void refused(response, request.url).then((error) => {
        socket.destroy()
        reject(error)
      })
    })
    // stays: WsTransport listens for itself
    ws.on('error', (error) => {
      settle()
      reject(new LinkSocksError('ERR_CONNECT', upgradeProblem(error), { cause: error }))
    })
  })
}

function openWebSocket({ url, socket, headers }: UpgradeRequest): HandshakeSocket {
  const options = {
    ...WS_OPTIONS,
    headers: { ...withUserAgent(headers), ...proofOf(socket) },
    maxHeaderSize: MAX_HTTP_HEADER_BYTES,
    createConnection: () => socket,
  }
  try {
    return new HandshakeSocket(url, options)
  } catch (thrown) {
    const code = errorCode(thrown)
    if (code !== 'ERR_INVALID_CHAR' && code !== 'ERR_INVALID_HTTP_TOKEN') throw thrown
    // no cause: it quotes the value
    throw new LinkSocksError('ERR_OPTION', 'a header of the handshake has a name or value that HTTP does not allow')
  }
}

/** Shows a server that ends this TLS connection itself that it does. */
function proofOf(socket: Socket): Readonly<Record<string, string>> {
  const proof = tlsProof(socket, 'client')
  return proof === undefined ? {} : { [TLS_PROOF_FIELD]: proof }
}

async function refused(response: IncomingMessage, url: string): Promise<LinkSocksError> {
  const status = `${response.statusCode} ${response.statusMessage ?? ''}`.trim()
  const line = (await bodyStart(response)).split(/[\r\n]+/).find((text) => text.trim() !== '')
  const said = line === undefined ? status : `${status}: ${line.trim()}`
  return new LinkSocksError('ERR_CONNECT', `server answered ${remoteText(redactAnswer(said, new URL(url).search))}`)
}

/** Up to {@link MAX_REASON_BYTES} of the body, or what of it came in time. */
function bodyStart(response: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    let text = Buffer.alloc(0)
    const done = (): void => {
      clearTimeout(timer)
      response.destroy()
      resolve(text.subarray(0, MAX_REASON_BYTES).toString())
    }
    const timer = setTimeout(done, REASON_TIMEOUT_MS)
    response.on('data', (chunk: Buffer) => {
      text = Buffer.concat([text, chunk])
      if (text.length >= MAX_REASON_BYTES) done()
    })
    response.on('end', done).on('close', done).on('error', done)
  })
}

function upgradeProblem(error: Error): string {
  const code = errorCode(error)
  if (code.startsWith('HPE_')) return 'the answer is not HTTP'
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'the connection was closed'
  return error.message
}
