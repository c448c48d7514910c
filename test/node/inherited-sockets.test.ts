import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { InheritedPort, InheritedPorts, InheritedSockets, takePort } from '../../src/node/inherited-sockets.js'
import type { TcpStream } from '../../src/node/net/tcp-stream.js'
import { LogRecorder } from '../client/fixture.js'
import { until } from '../support/wait.js'
import { FakeSocket } from './fake-socket.js'

const HOST = '127.0.0.1'

function setUp(sockets = [new FakeSocket()]) {
  const port = new InheritedPort(sockets)
  const streams: TcpStream[] = []
  const logger = new LogRecorder()
  const options = { host: HOST, port: 1080, logger, onConnection: (stream: TcpStream) => void streams.push(stream) }
  const socket = sockets[0] ?? new FakeSocket()
  return { port, streams, options, socket, sockets, logger }
}

const gone = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.once('close', resolve))

describe('InheritedPort', () => {
  it('accepts nothing before it is opened, then for who opened it', async () => {
    const { port, streams, options, socket } = setUp()
    expect(socket.servers).toEqual([])
    const open = await port.open(options)
    await socket.client()
    await until(() => streams.length === 1)
    await open.close()
  })

  it('ends connections at once while nobody has it open, and goes on for the next', async () => {
    const { port, streams, options, socket } = setUp()
    const first = await port.open(options)
    first.stopAccepting()
    await gone(await socket.client())
    expect(streams).toEqual([])
    const second = await port.open(options)
    // the end of the one before is none of its business
    await first.close()
    await socket.client()
    await until(() => streams.length === 1)
    expect(socket.servers).toHaveLength(1)
    expect(socket.closes).toBe(0)
    await second.close()
  })

  it('ends the connections of who closes it, and only those', async () => {
    const { port, streams, options, socket } = setUp()
    const first = await port.open(options)
    const mine = await socket.client()
    await until(() => streams.length === 1)
    first.stopAccepting()
    const second = await port.open(options)
    const other = await socket.client()
    await until(() => streams.length === 2)
    const ended = gone(mine)
    await first.close()
    await ended
    expect(other.destroyed).toBe(false)
    await second.close()
  })

  it('accepts without anybody who opened it, once however often it is asked', async () => {
    const { port, socket } = setUp()
    await Promise.all([port.accept(), port.accept()])
    await gone(await socket.client())
    expect(socket.servers).toHaveLength(1)
  })

  it('gives its sockets up for good, and lets connections go on', async () => {
    const { port, streams, options, socket } = setUp()
    const open = await port.open(options)
    const client = await socket.client()
    await until(() => streams.length === 1)
    port.release()
    port.release()
    expect(socket.servers[0]?.listening).toBe(false)
    expect(client.destroyed).toBe(false)
    await expect(port.open(options)).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: 'the sockets of port 1080 are closed',
    })
    const ended = gone(client)
    await open.close()
    await ended
  })

  it('closes sockets on which nothing listens yet', () => {
    const { port, sockets } = setUp([new FakeSocket(), new FakeSocket()])
    port.release()
    expect(sockets.map(({ closes }) => closes)).toEqual([1, 1])
  })

  it('listens on all its sockets', async () => {
    const { port, streams, options, sockets } = setUp([new FakeSocket(), new FakeSocket()])
    const open = await port.open(options)
    for (const socket of sockets) await socket.client()
    await until(() => streams.length === 2)
    await open.close()
  })

  it('says why it cannot be opened', async () => {
    const { port, options, socket } = setUp()
    socket.failure = new Error('no')
    await expect(port.open(options)).rejects.toThrow('no')
    await expect(port.open(options)).rejects.toThrow('no')
  })

  it('logs for who opened it what fails at its sockets', async () => {
    const { port, options, socket, logger } = setUp()
    const open = await port.open(options)
    socket.servers[0]?.emit('error', new Error('out of descriptors'))
    socket.servers[0]?.emit('drop')
    expect(logger.lines.map(({ event }) => event)).toEqual(['listener.error', 'listener.full'])
    open.stopAccepting()
    socket.servers[0]?.emit('error', new Error('nobody hears it'))
    await open.close()
  })
})

describe('InheritedPorts', () => {
  it('puts the sockets of one port together', () => {
    const ports = new InheritedPorts([new FakeSocket(1), new FakeSocket(2), new FakeSocket(1)])
    expect([...ports.ports]).toEqual([1, 2])
    expect(ports.get(1)).toBeInstanceOf(InheritedPort)
    expect(ports.get(3)).toBeUndefined()
  })

  it('refuses the connections of a port, also where it cannot listen, and gives up all', async () => {
    const sockets = [new FakeSocket(1), new FakeSocket(2)] as const
    sockets[1].failure = new Error('no')
    const ports = new InheritedPorts(sockets)
    for (const port of [1, 2, 3]) ports.refuse(port)
    await until(() => sockets[0].servers[0]?.listening === true)
    await gone(await sockets[0].client())
    ports.release()
    expect(sockets[0].servers[0]?.listening).toBe(false)
    expect(sockets[1].closes).toBe(1)
  })

  it('takes no Unix domain socket', () => {
    const unix = Object.assign(new FakeSocket(), { address: undefined })
    expect(() => new InheritedPorts([unix])).toThrow('descriptor 3 is a Unix socket: a proxy port needs a TCP socket')
  })
})

describe('what cannot be taken', () => {
  it('is named, by a server and by a client', () => {
    const message = 'descriptor 1048000 is not open: no socket was passed by this number'
    expect(() => InheritedSockets.take({ listen: ['ws+fd:1048000'] })).toThrow(message)
    expect(() => InheritedSockets.take({ socksSockets: [1_048_000] })).toThrow(message)
    expect(() => takePort([1_048_000])).toThrow(message)
  })
})
