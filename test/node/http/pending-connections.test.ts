import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/log.js'
import {
  type HttpServer,
  type HttpServerOptions,
  listenHttp,
  type UpgradeInfo,
} from '../../../src/node/http/http-server.js'
import { listenSocks } from '../../../src/node/socks-listener.js'
import type { WsTransport } from '../../../src/node/websocket/ws-transport.js'
import { TransportRecorder } from '../../contract/transport-recorder.js'
import { memoryStreamPair } from '../../support/memory-stream.js'

const closers: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const UPGRADE =
  'GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n'

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  closers.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** In order or with a reset. */
const ended = (socket: Socket): Promise<unknown> =>
  new Promise((resolve) => void socket.resume().once('close', resolve))

async function serve(options: Partial<HttpServerOptions>) {
  const upgrades: { transport: WsTransport; info: UpgradeInfo }[] = []
  const server: HttpServer = await listenHttp({
    listen: [{ host: '127.0.0.1', port: 0 }],
    log: silentLogger,
    isSocketPath: (path) => path === '/socket',
    handle: async (_request, { admitted }) => {
      admitted()
      return new Response('fine')
    },
    upgrade: (transport, info) => {
      transport.start(new TransportRecorder())
      upgrades.push({ transport, info })
    },
    ...options,
  })
  closers.push(() => server.close())
  const [address] = server.addresses
  if (address === undefined || !('port' in address)) throw new Error('no port')
  return { port: address.port, upgrades }
}

describe('strangers on the HTTP port', () => {
  it('that say nothing make room for the next, the oldest first', async () => {
    const { port } = await serve({ maxPending: 3 })
    const silent = [await open(port), await open(port), await open(port)]
    const [first, second] = silent.map((socket) => ended(socket))
    const response = await fetch(`http://127.0.0.1:${port}/`)
    expect(await response.text()).toBe('fine')
    await first
    const more = await open(port)
    more.write('GET / HT')
    await second
    expect(silent[2]?.destroyed).toBe(false)
  })

  it('count until their WebSocket has authenticated', async () => {
    const { port, upgrades } = await serve({ maxPending: 2 })
    const known = await open(port)
    known.write(UPGRADE)
    await once(known, 'data')
    upgrades[0]?.info.admitted()
    const pending = await open(port)
    pending.write(UPGRADE)
    await once(pending, 'data')
    await open(port)
    const gone = ended(pending)
    await open(port)
    await gone
    expect(known.destroyed).toBe(false)
  })
})

describe('strangers on a SOCKS port', () => {
  it('make room for a client that asks for something', async () => {
    const listener = await listenSocks({
      host: '127.0.0.1',
      port: 0,
      credentials: () => undefined,
      log: silentLogger,
      maxPending: 2,
      dialer: {
        dial: async () => memoryStreamPair()[0],
        associate: () => Promise.reject(new Error('no UDP here')),
      },
    })
    closers.push(() => listener.close())
    const silent = [await open(listener.address.port), await open(listener.address.port)]
    const first = ended(silent[0] as Socket)
    const client = await open(listener.address.port)
    client.write(Uint8Array.of(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80))
    await first
    let answer = Buffer.alloc(0)
    while (answer.length < 12) answer = Buffer.concat([answer, ((await once(client, 'data')) as [Buffer])[0]])
    expect(answer.subarray(0, 4).toString('hex')).toBe('05000500')
    // it is none any more: others come and go, it stays
    const second = ended(silent[1] as Socket)
    await open(listener.address.port)
    await open(listener.address.port)
    await second
    expect(client.destroyed).toBe(false)
  })
})
