import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import {
  type CameBy,
  HttpListeners,
  type HttpListenersOptions,
  MAX_CONNECTIONS,
} from '../../../src/node/http/http-listeners.js'
import type { ListenAddress } from '../../../src/node/net/listen-address.js'
import { LogRecorder } from '../../client/fixture.js'
import { atEnd } from '../../support/at-end.js'
import { freePort } from '../../support/ports.js'
import { until } from '../../support/wait.js'
import { FakeSocket } from '../fake-socket.js'
import { isOpen } from '../library-fixture.js'
import { socketPath } from '../net/unix-folder.js'

const HOST = '127.0.0.1'

function setUp(
  addresses: readonly ListenAddress[],
  maxConnections?: number,
  inherited?: HttpListenersOptions['inherited'],
) {
  const came: CameBy[] = []
  const sockets: Socket[] = []
  const log = new LogRecorder()
  const listeners = new HttpListeners({
    ...{ addresses, log, maxConnections, inherited },
    connected: (socket, by) => {
      socket.on('error', () => {})
      came.push(by)
      sockets.push(socket)
    },
  })
  atEnd(async () => {
    for (const socket of sockets) socket.destroy()
    await listeners.close()
  })
  return { listeners, came, sockets, log }
}

async function client(to: { path: string } | { port: number }): Promise<Socket> {
  const socket = connect({ host: HOST, ...to })
  atEnd(() => void socket.destroy())
  socket.on('error', () => {}).resume()
  await once(socket, 'connect')
  return socket
}

const portOf = (address: ListenAddress | undefined): number =>
  address !== undefined && 'port' in address ? address.port : 0

describe('HttpListeners', () => {
  it('says the same of sockets that were passed, and where those are', async () => {
    const sockets = [new FakeSocket(1, 3), new FakeSocket(2, 4), new FakeSocket(3, 5)] as const
    Object.assign(sockets[2], { address: undefined })
    const given = [{ fd: 3 }, { fd: 4, tls: true }, { fd: 5 }]
    const { listeners, came } = setUp(given, undefined, (fd) => sockets[fd - 3] as never)
    await listeners.open()
    expect(listeners.addresses).toEqual([
      { host: HOST, port: 1, tls: false },
      { host: HOST, port: 2, tls: true },
      { fd: 5, tls: false },
    ])
    for (const [index, socket] of sockets.entries()) {
      await client({ port: socket.port })
      await until(() => came.length === index + 1)
    }
    expect(came).toEqual(['tcp', 'tls', 'unix'])
    listeners.stop()
    expect(sockets.map(({ isOpen }) => isOpen)).toEqual([false, false, false])
  })

  it('does not open a descriptor that nobody took', async () => {
    await expect(setUp([{ fd: 3 }]).listeners.open()).rejects.toThrow('descriptor 3 was not taken')
  })

  it('says by what each connection came, and which ports the system picked', async () => {
    const path = socketPath()
    const { listeners, came } = setUp([{ host: HOST, port: 0 }, { host: HOST, port: 0, tls: true }, { path }])
    await listeners.open()
    const [plain, tls, unix] = listeners.addresses
    expect([plain, tls, unix]).toEqual([
      { host: HOST, port: expect.any(Number), tls: false },
      { host: HOST, port: expect.any(Number), tls: true },
      { path },
    ])
    await client({ port: portOf(plain) })
    await until(() => came.length === 1)
    await client({ port: portOf(tls) })
    await until(() => came.length === 2)
    await client({ path })
    await until(() => came.length === 3)
    expect(came).toEqual(['tcp', 'tls', 'unix'])
  })

  it('takes connections of both families at localhost', async () => {
    const { listeners, came } = setUp([{ host: 'localhost', port: 0, tls: true }])
    await listeners.open()
    const { port } = { port: portOf(listeners.addresses[0]) }
    await client({ port })
    await until(() => came.length === 1)
    expect(came).toEqual(['tls'])
  })

  it('opens all addresses or none, and lets connections go that were there already', async () => {
    const [first, taken] = [await freePort(), await freePort()]
    const other = setUp([{ host: HOST, port: taken }])
    await other.listeners.open()
    const path = socketPath()
    const { listeners, sockets } = setUp([{ host: HOST, port: first }, { path }, { host: HOST, port: taken }])
    const opening = listeners.open()
    const failed = expect(opening).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: `port ${taken} on ${HOST} is already in use`,
    })
    await failed
    expect([await isOpen(first), existsSync(path)]).toEqual([false, false])
    expect(sockets.every((socket) => socket.destroyed)).toBe(true)
  })

  it('does not wait for a connection of an address that it closes again', async () => {
    const [first, taken] = [await freePort(), await freePort()]
    const other = setUp([{ host: HOST, port: taken }])
    await other.listeners.open()
    let connected: Promise<Socket> | undefined
    const addresses: ListenAddress[] = [
      { host: HOST, port: first },
      // asked for only when the first one listens, and not before somebody is there
      {
        get host(): string {
          connected ??= client({ port: first })
          return HOST
        },
        port: taken,
      },
    ]
    const { listeners } = setUp(addresses)
    await expect(listeners.open()).rejects.toMatchObject({ code: 'ERR_LISTEN' })
    const socket = await connected?.catch(() => undefined)
    await until(() => socket === undefined || socket.destroyed || socket.readableEnded)
  })

  it('drops connections beyond the limit of all addresses, until others are gone', async () => {
    const path = socketPath()
    const { listeners, sockets, log } = setUp(
      [{ host: HOST, port: 0 }, { host: HOST, port: 0, tls: true }, { path }],
      2,
    )
    await listeners.open()
    const [plain, tls] = listeners.addresses
    await client({ port: portOf(plain) })
    await until(() => sockets.length === 1)
    const second = await client({ path })
    await until(() => sockets.length === 2)
    for (const to of [{ port: portOf(tls) }, { port: portOf(plain) }]) await once(await client(to), 'close')
    expect(log.of('http.connection.dropped')).toEqual([{ limit: 2 }, { limit: 2 }])
    second.destroy()
    sockets[1]?.destroy()
    await until(() => sockets[1]?.destroyed === true)
    // its end is heard of a moment later
    while (sockets.length < 3) await client({ port: portOf(tls) })
    expect(MAX_CONNECTIONS).toBe(16_384)
  })

  it('takes no new connections after stop(), and leaves those that are there', async () => {
    const path = socketPath()
    const { listeners, sockets } = setUp([{ host: HOST, port: 0 }, { path }])
    await listeners.open()
    const port = portOf(listeners.addresses[0])
    const there = await client({ port })
    await until(() => sockets.length === 1)
    listeners.stop()
    listeners.stop()
    expect([await isOpen(port), existsSync(path)]).toEqual([false, false])
    sockets[0]?.write('still here')
    expect(String((await once(there, 'data'))[0])).toBe('still here')
  })

  it('closes when all connections are gone, however often it is asked', async () => {
    const { listeners, sockets } = setUp([{ host: HOST, port: 0 }, { path: socketPath() }])
    await listeners.open()
    await client({ port: portOf(listeners.addresses[0]) })
    await until(() => sockets.length === 1)
    let isClosed = false
    const closing = listeners.close().then(() => {
      isClosed = true
    })
    listeners.stop()
    expect(isClosed).toBe(false)
    sockets[0]?.destroy()
    await closing
    await listeners.close()
  })
})
