import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { type RawTarget, rawTarget } from './http-exchange.js'
import { refusal, refuseSocket } from './http-refusal.js'
import { WS_OPTIONS, WsTransport } from './ws-transport.js'

export interface UpgradeOptions {
  /** Whether WebSockets are accepted at this raw path. */
  readonly isSocketPath: (path: string) => boolean
  /** Takes the open WebSocket in the tick that opened it. */
  readonly accept: (transport: WsTransport, request: IncomingMessage, target: RawTarget) => void
  /** Hears of handshakes that are none. */
  readonly rejected: (reason: string, socket: Duplex) => void
}

/** Header fields that ask for another protocol; without them the request is an ordinary one (RFC 9110 section 7.8). */
const UPGRADE_FIELDS = new Set(['upgrade', 'connection', 'http2-settings'])

/** Answers the upgrade requests of `server`: WebSockets where they are accepted, 404 elsewhere; other protocols are ignored. */
export function acceptUpgrades(server: Server, { isSocketPath, accept, rejected }: UpgradeOptions): void {
  // a client may offer subprotocols; none is chosen
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    handleProtocols: () => false,
    ...WS_OPTIONS,
  })
  webSockets.on('wsClientError', (error, socket) => {
    rejected(error.message, socket)
    refuseSocket(socket, refusal(400, error.message, { 'Sec-WebSocket-Version': '13' }))
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket')
      return serveWithoutUpgrade(server, request, socket, head)
    const target = rawTarget(request.url ?? '/')
    if (!isSocketPath(target.path)) return refuseSocket(socket, refusal(404, 'not found'))
    webSockets.handleUpgrade(request, socket, head, (ws) => accept(new WsTransport(ws, socket), request, target))
  })
}

/**
 * Some clients ask for HTTP/2 with every request; a server may ignore that. Node has given the connection away by now:
 * it gets the request again, as it was but for the fields that asked.
 */
function serveWithoutUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] ?? ''
    if (!UPGRADE_FIELDS.has(name.toLowerCase())) lines.push(`${name}: ${request.rawHeaders[i + 1]}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}
