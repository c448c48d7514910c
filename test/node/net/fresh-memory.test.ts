import { afterAll, beforeAll, vi } from 'vitest'
import type { SocketReader } from '../../../src/node/net/socket-reader.js'
import { byteStreamContract } from '../../contract/byte-stream.js'
import { messageTransportContract } from '../../contract/message-transport.js'
import { WsHost } from '../../support/ws-pair.js'
import { tcpStreamPair } from './sockets.js'

/** As where Node lacks what shared memory needs. */
vi.mock(import('../../../src/node/net/socket-reader.js'), async (original) => {
  const { SocketReader: Real } = await original()
  class FreshReader extends Real {
    constructor(...[socket, read, options]: ConstructorParameters<typeof SocketReader>) {
      super(socket, read, { ...options, fresh: true })
    }
  }
  return { SocketReader: FreshReader }
})

const host = new WsHost()

beforeAll(() => host.listen())
afterAll(() => host.close())

messageTransportContract('WsTransport with fresh memory', async () => {
  const { client, server } = await host.pair()
  return {
    a: server,
    b: client,
    cleanup() {
      client.abort()
      server.abort()
    },
  }
})

byteStreamContract('TcpStream with fresh memory', tcpStreamPair)
