import { createServer, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { upgrade } from '../../../src/node/connect/ws-upgrade.js'
import { acceptUpgrades } from '../../../src/node/http/http-upgrade.js'
import { WsTransport } from '../../../src/node/websocket/ws-transport.js'

export interface WsPair {
  readonly client: WsTransport
  readonly server: WsTransport
  /** What the server was asked with. */
  readonly request: IncomingMessage
}

/** Opens a WebSocket on two sockets that are connected, as client and server do. */
export async function webSocketOn(near: Socket, far: Socket): Promise<WsPair> {
  const http = createServer()
  const accepted = new Promise<{ server: WsTransport; request: IncomingMessage }>((resolve) => {
    acceptUpgrades(http, {
      isSocketPath: () => true,
      check: () => undefined,
      accept: (server, request) => resolve({ server, request }),
      rejected: () => {},
    })
  })
  http.emit('connection', far)
  // a pair is paused at first
  far.resume()
  near.resume()
  const url = `${'encrypted' in (near as Partial<TLSSocket>) ? 'wss' : 'ws'}://relay.test/socket`
  const opening = upgrade({ url, socket: near, headers: {}, signal: new AbortController().signal })
  const [client, { server, request }] = await Promise.all([opening, accepted])
  if (!(client instanceof WsTransport)) throw new Error('redirected')
  return { client, server, request }
}
