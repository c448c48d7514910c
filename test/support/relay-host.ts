import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'

const tlsFile = (name: string): string => readFileSync(new URL(`./tls/${name}`, import.meta.url), 'utf8')

/** The authority of the test certificate. */
export const TEST_CA = tlsFile('ca.pem')

export interface RelayHost {
  readonly port: number
  /** Request line and header fields of each handshake, refused ones included. */
  readonly requests: IncomingMessage[]
  /** Connections that are open. */
  readonly sockets: ReadonlySet<Duplex>
  close(): Promise<void>
}

export interface RelayHostOptions {
  readonly tls?: boolean
  /** Answers a handshake other than by a WebSocket: true when it did. */
  readonly answer?: (request: IncomingMessage, response: ServerResponse) => boolean
}

/** A web server that answers each WebSocket handshake, sending `hello` first. */
export async function relayHost({ tls = false, answer }: RelayHostOptions = {}): Promise<RelayHost> {
  const requests: IncomingMessage[] = []
  const sockets = new Set<Socket>()
  const server: Server = tls
    ? createTlsServer({ key: tlsFile('server.key'), cert: tlsFile('server.pem') })
    : createServer()
  const webSockets = new WebSocketServer({ noServer: true })
  server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  })
  server.on('upgrade', (request, socket, head) => {
    requests.push(request)
    if (answer !== undefined && respond(request, socket, answer)) return
    webSockets.handleUpgrade(request, socket, head, (ws) => ws.send(Buffer.from('hello')))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function respond(
  request: IncomingMessage,
  socket: Duplex,
  answer: (request: IncomingMessage, response: ServerResponse) => boolean,
): boolean {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as Socket)
  response.on('finish', () => socket.end())
  if (answer(request, response)) return true
  response.detachSocket(socket as Socket)
  return false
}
