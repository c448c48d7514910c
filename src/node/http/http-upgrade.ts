import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { Refusal } from '../../api/request/answers.js'
import type { AbortOptions } from '../../ports.js'
import { isTlsProof, TLS_PROOF_FIELD, tlsProof } from '../tls/shared-tls.js'
import { HandshakeSocket, WS_OPTIONS } from '../websocket/ws-handshake.js'
import { WsTransport } from '../websocket/ws-transport.js'
import { type RawTarget, rawTarget } from './http-exchange.js'
import { refuseSocket } from './http-refusal.js'

export interface UpgradeOptions {
  /** Whether WebSockets are accepted at this raw path. */
  readonly isSocketPath: (path: string) => boolean
  /** Why a handshake is refused, or `undefined`; asked in its tick, and answered without a promise where nothing is waited for. */
  readonly check: (
    request: IncomingMessage,
    target: RawTarget,
    options: AbortOptions,
  ) => Promise<Refusal | undefined> | undefined
  /** Takes the open WebSocket in the tick that opened it. */
  readonly accept: (transport: WsTransport, request: IncomingMessage, target: RawTarget) => void
  /** Hears of handshakes that are none. */
  readonly rejected: (reason: string, socket: Duplex) => void
}

const WEBSOCKET = 'websocket'
/** The one version there is (RFC 6455 section 4.2.2). */
const VERSION = '13'

function otherVersion(): Refusal {
  return new Refusal(426, `only version ${VERSION} of WebSocket is spoken here`, {
    Upgrade: WEBSOCKET,
    Connection: 'Upgrade, close',
    'Sec-WebSocket-Version': VERSION,
  })
}

/** Header fields, and options of Connection, that ask for another protocol; without them the request is an ordinary one (RFC 9110 section 7.8). */
const UPGRADE_FIELDS = new Set(['upgrade', 'http2-settings'])

/** Answers the upgrade requests of `server`: WebSockets where they are accepted, 404 elsewhere; other protocols are ignored. */
export function acceptUpgrades(server: Server, { isSocketPath, check, accept, rejected }: UpgradeOptions): void {
  // a client may offer subprotocols; none is chosen
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    handleProtocols: () => false,
    WebSocket: HandshakeSocket,
    ...WS_OPTIONS,
  })
  webSockets.on('wsClientError', (error, socket) => {
    rejected(error.message, socket)
    refuseSocket(socket, new Refusal(400, error.message, { 'Sec-WebSocket-Version': VERSION }))
  })
  // tells a client that both are the ends of one TLS connection, if it asks
  webSockets.on('headers', (headers, request) => {
    if (!isTlsProof(request.headers[TLS_PROOF_FIELD.toLowerCase()], request.socket, 'client')) return
    headers.push(`${TLS_PROOF_FIELD}: ${tlsProof(request.socket, 'server')}`)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (!wantsWebSocket(request)) return serveWithoutUpgrade(server, request, socket, head)
    const target = rawTarget(request.url ?? '/')
    if (!isSocketPath(target.path)) return refuseSocket(socket, new Refusal(404, 'not found'))
    const version = request.headers['sec-websocket-version']
    if (version !== undefined && version !== VERSION) {
      rejected(`WebSocket version ${version}`, socket)
      return refuseSocket(socket, otherVersion())
    }
    // of several protocols ws would take none
    request.headers.upgrade = WEBSOCKET
    const upgrade = (): void =>
      webSockets.handleUpgrade(request, socket, head, ({ upgraded }) =>
        accept(new WsTransport(upgraded, 'server'), request, target),
      )
    unlessRefused(socket, (options) => check(request, target, options), upgrade)
  })
}

/** Goes on with a handshake that `check` lets through; its connection may end while it waits. */
function unlessRefused(
  socket: Duplex,
  check: (options: AbortOptions) => Promise<Refusal | undefined> | undefined,
  goOn: () => void,
): void {
  const gone = new AbortController()
  const checked = check({ signal: gone.signal })
  if (checked === undefined) return goOn()
  const leave = (): void => gone.abort()
  // the connection is not read yet: its end shows as 'readable' with no bytes
  const look = (): void => {
    if (socket.readableLength === 0) leave()
  }
  // 'close' follows
  const ignore = (): void => {}
  socket.on('readable', look)
  socket.on('close', leave)
  socket.on('error', ignore)
  const proceed = (refusal: Refusal | undefined): void => {
    socket.off('close', leave)
    socket.off('error', ignore)
    if (socket.destroyed) return
    if (refusal === undefined) goOn()
    else refuseSocket(socket, refusal)
  }
  void checked.then((refusal) => {
    socket.off('readable', look)
    // a tick later that listener is forgotten: else the socket would begin to flow for the next reader
    process.nextTick(proceed, refusal)
  })
}

/**
 * Whether a request asks to become a WebSocket, among other things perhaps; a server may ignore the wish for any other protocol, and has
 * to in HTTP/1.0 (RFC 9110 section 7.8).
 */
export function wantsWebSocket({ headers, httpVersion }: IncomingMessage): boolean {
  const protocols = headers.upgrade?.split(',').map((name) => name.trim().toLowerCase()) ?? []
  return httpVersion !== '1.0' && protocols.includes(WEBSOCKET)
}

/**
 * Some clients ask for HTTP/2 with every request. Node 24.9 and later asks before it gives the connection away; an
 * earlier one has done so by now and gets the request again, as it was but for the fields that asked. Either way the
 * connection ends with the answer: behind such a request the newer ones read no other.
 */
export function serveWithoutUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`, 'Connection: close']
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] ?? ''
    const value = request.rawHeaders[i + 1] ?? ''
    if (UPGRADE_FIELDS.has(name.toLowerCase())) continue
    lines.push(`${name}: ${name.toLowerCase() === 'connection' ? withoutUpgrade(value) : value}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}

function withoutUpgrade(connection: string): string {
  const options = connection.split(',').map((option) => option.trim())
  return options.filter((option) => !UPGRADE_FIELDS.has(option.toLowerCase())).join(', ')
}
