import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Scene } from '../../support/e2e/scene.js'

const tls = (name: string): Buffer => readFileSync(new URL(`../../support/tls/${name}`, import.meta.url))

/** Where a handshake is sent, and by which status. */
export type Redirect = (target: string) => readonly [status: number, location: string]

/** An HTTP server that sends every handshake on to somewhere else. */
export class Redirector {
  /** Request targets so far. */
  readonly targets: string[] = []
  readonly port: number

  constructor(server: Server, redirect: Redirect) {
    this.port = (server.address() as AddressInfo).port
    server.on('upgrade', (request, socket: Socket) => {
      this.targets.push(request.url ?? '')
      const [status, location] = redirect(request.url ?? '')
      socket.on('error', () => {})
      socket.end(`HTTP/1.1 ${status} Elsewhere\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`)
    })
  }

  static async open(scene: Scene, redirect: Redirect, secure = false): Promise<Redirector> {
    const server = secure ? createHttpsServer({ key: tls('server.key'), cert: tls('server.pem') }) : createHttpServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    scene.own(() => {
      server.closeAllConnections()
      server.close()
    })
    return new Redirector(server, redirect)
  }
}
