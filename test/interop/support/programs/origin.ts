import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import type { Scene } from '../../../support/e2e/scene.js'
import type { LocalCa } from './ca.js'

/** A web server on loopback. */
export interface Origin {
  readonly port: number
  /** How many TCP connections it has accepted so far. */
  readonly connections: () => number
}

/** Starts one, with TLS where a certificate is given. */
export async function origin(scene: Scene, listener: RequestListener, ca?: LocalCa): Promise<Origin> {
  const server = ca === undefined ? createServer(listener) : createTlsServer({ cert: ca.cert, key: ca.key }, listener)
  const listening = await listen(scene, server)
  scene.own(() => server.closeAllConnections())
  return listening
}

/** Lets any server listen on loopback until the scene ends, and counts its connections. */
export async function listen(scene: Scene, server: Server): Promise<Origin> {
  let connections = 0
  server.on('connection', () => {
    connections += 1
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  scene.own(() => server.close())
  return { port: (server.address() as AddressInfo).port, connections: () => connections }
}

/** GET answers `content`, or what stands behind `/hello/`; PUT the SHA-256 of what was put. */
export function contentListener(content: Uint8Array): RequestListener {
  return (request, response) =>
    void answer(
      request,
      response.on('error', () => {}),
      content,
    )
}

async function answer(request: IncomingMessage, response: ServerResponse, content: Uint8Array): Promise<void> {
  const [, hello] = request.url?.match(/^\/hello\/(.*)/) ?? []
  if (request.method === 'GET') {
    response.end(hello === undefined ? content : `hello ${hello}`)
    return
  }
  const hash = createHash('sha256')
  for await (const chunk of request) hash.update(chunk)
  response.end(hash.digest('hex'))
}
