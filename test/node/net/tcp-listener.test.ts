import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { connectTcp } from '../../../src/node/net/tcp-connect.js'
import {
  type ConnectionInfo,
  listenTcp,
  type TcpListener,
  type TcpListenOptions,
} from '../../../src/node/net/tcp-listener.js'
import type { TcpStream } from '../../../src/node/net/tcp-stream.js'
import { byteStreamContract } from '../../contract/byte-stream.js'
import { pattern } from '../../contract/pattern.js'
import { StreamRecorder } from '../../contract/stream-recorder.js'
import { until } from '../../support/wait.js'

interface Opened {
  readonly listener: TcpListener
  readonly streams: TcpStream[]
  readonly infos: ConnectionInfo[]
}

async function open(options: Partial<TcpListenOptions> = {}): Promise<Opened> {
  const streams: TcpStream[] = []
  const infos: ConnectionInfo[] = []
  const listener = await listenTcp({
    host: '127.0.0.1',
    port: 0,
    onConnection: (stream, info) => {
      streams.push(stream)
      infos.push(info)
    },
    ...options,
  })
  onTestFinished(() => listener.close())
  return { listener, streams, infos }
}

function dial({ address }: TcpListener): Socket {
  const socket = connect({ ...address, allowHalfOpen: true })
  socket.on('error', () => {})
  onTestFinished(() => {
    socket.destroy()
  })
  return socket
}

byteStreamContract('listenTcp', async () => {
  const { listener, streams } = await open()
  const a = await connectTcp(listener.address)
  await until(() => streams.length === 1)
  return { a, b: streams[0] as TcpStream, cleanup: () => listener.close() }
})

describe('listenTcp', () => {
  it('reports the port the system picked and both ends of a connection', async () => {
    const { listener, infos } = await open()
    const socket = dial(listener)
    await until(() => infos.length === 1)
    expect(listener.address).toEqual({ host: '127.0.0.1', port: expect.any(Number) })
    expect(infos[0]?.localAddress()).toEqual(listener.address)
    expect(infos[0]?.remoteAddress).toEqual({ host: '127.0.0.1', port: socket.localPort })
  })

  it('answers with what it is bound to once the connection is gone', async () => {
    const { listener, infos, streams } = await open({ host: '0.0.0.0' })
    const socket = connect({ host: '127.0.0.1', port: listener.address.port })
    await until(() => infos.length === 1)
    expect(infos[0]?.localAddress().host).toBe('127.0.0.1')
    socket.on('error', () => {})
    streams[0]?.abort(new LinkSocksError('ERR_CANCELLED', 'enough'))
    await until(() => listener.connectionCount === 0)
    expect(infos[0]?.localAddress()).toEqual(listener.address)
  })

  it('shows IPv4 clients of an IPv6 port as IPv4', async ({ skip }) => {
    const opened = await open({ host: '::' }).catch(() => undefined)
    if (opened === undefined) skip('no IPv6 here')
    const socket = connect({ host: '127.0.0.1', port: opened?.listener.address.port ?? 0 })
    onTestFinished(() => {
      socket.destroy()
    })
    await until(() => opened?.infos.length === 1)
    expect(opened?.infos[0]?.remoteAddress.host).toBe('127.0.0.1')
    expect(opened?.infos[0]?.localAddress().host).toBe('127.0.0.1')
  })

  it('says that a port is taken', async () => {
    const { listener } = await open()
    const { port } = listener.address
    await expect(open({ port })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: `port ${port} on 127.0.0.1 is already in use`,
    })
  })

  it('says that an address is not its own, or a port none', async () => {
    await expect(open({ host: '192.0.2.1' })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: '192.0.2.1 is not an address of this machine',
    })
    await expect(open({ port: 65_536 })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: '65536 is not a port number',
    })
  })

  it('frees the port and resets its connections on close()', async () => {
    const { listener, streams } = await open()
    const socket = dial(listener)
    const outcome = new Promise<string>((resolve) => {
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    })
    await until(() => streams.length === 1)
    const told = new StreamRecorder(streams[0])
    told.start()
    const closing = listener.close()
    expect(listener.close()).toBe(closing)
    await closing
    expect(told.closes[0]).toMatchObject({ code: 'ERR_SHUTTING_DOWN' })
    expect(await outcome).toBe('ECONNRESET')
    expect(listener.connectionCount).toBe(0)
    await open({ port: listener.address.port })
  })

  it('closes with connections that were never started, are flushing or linger', async () => {
    const { listener, streams } = await open()
    for (let i = 0; i < 4; i++) dial(listener).pause()
    await until(() => streams.length === 4)
    const [, lingering, flushing, ending] = streams
    lingering?.close()
    for (let i = 0; i < 32; i++) flushing?.write(pattern(1024 * 1024))
    flushing?.close()
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    ending?.end()
    await listener.close()
    expect(listener.connectionCount).toBe(0)
  })

  it('forgets connections that are gone', async () => {
    const { listener, streams } = await open()
    for (let round = 1; round <= 5; round++) {
      const socket = dial(listener)
      await until(() => streams.length === round)
      expect(listener.connectionCount).toBe(1)
      new StreamRecorder(streams[round - 1]).start()
      socket.end()
      streams[round - 1]?.end()
      socket.resume()
      await until(() => listener.connectionCount === 0)
    }
  })

  it('closes connections beyond its limit and takes new ones when others are gone', async () => {
    const warnings: string[] = []
    const ignore = (): void => {}
    const logger = { debug: ignore, info: ignore, warn: (event: string) => warnings.push(event), error: ignore }
    const { listener, streams } = await open({ maxConnections: 2, logger })
    dial(listener)
    dial(listener)
    await until(() => streams.length === 2)
    const refused = [dial(listener), dial(listener)]
    for (const socket of refused) {
      socket.resume()
      await until(() => socket.readableEnded || socket.destroyed)
    }
    expect([streams.length, warnings]).toEqual([2, ['listener.full']])
    streams[0]?.abort(new LinkSocksError('ERR_CANCELLED', 'done'))
    await until(() => listener.connectionCount === 1)
    dial(listener)
    await until(() => streams.length === 3)
  })
})
