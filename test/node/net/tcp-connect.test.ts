import { getEventListeners, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { connectTcp } from '../../../src/node/net/tcp-connect.js'
import { TcpStream } from '../../../src/node/net/tcp-stream.js'
import { byteStreamContract } from '../../contract/byte-stream.js'
import { pattern } from '../../contract/pattern.js'
import { StreamRecorder } from '../../contract/stream-recorder.js'
import { freePort } from '../../support/ports.js'
import { until } from '../../support/wait.js'
import { listen } from './sockets.js'

async function open(): Promise<{ sockets: Socket[]; port: number }> {
  const sockets: Socket[] = []
  const { server, port } = await listen((socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
  })
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { sockets, port }
}

byteStreamContract('connectTcp', async () => {
  const { sockets, port } = await open()
  const a = await connectTcp({ host: '127.0.0.1', port })
  await until(() => sockets.length === 1)
  return { a, b: new TcpStream(sockets[0] as Socket) }
})

describe('connectTcp', () => {
  it('keeps what a server says first', async () => {
    const { sockets, port } = await open()
    const stream = await connectTcp({ host: '127.0.0.1', port })
    await until(() => sockets.length === 1)
    // what the system has taken is at the far end already
    await new Promise<void>((resolve) => sockets[0]?.end(pattern(1_000), resolve))
    const told = new StreamRecorder(stream)
    told.start()
    await until(() => told.ends === 1)
    expect(Buffer.compare(told.bytes(), pattern(1_000))).toBe(0)
    stream.close()
  })

  it('says that a port refused', async () => {
    const port = await freePort()
    await expect(connectTcp({ host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'ERR_DIAL_REFUSED',
      message: `127.0.0.1:${port} refused the connection`,
    })
  })

  it('says that there is no way to an address', async () => {
    // class E, which Linux has no route for; other systems may word it differently
    const dial = connectTcp({ host: '255.255.255.255', port: 9 })
    await expect(dial).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_DIAL_/) })
  })

  it('refuses names and impossible ports without asking anyone', async () => {
    const addresses = [
      { host: 'localhost', port: 80 },
      { host: '', port: 80 },
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.1', port: 65_536 },
      { host: '127.0.0.1', port: 1.5 },
    ]
    for (const address of addresses)
      await expect(connectTcp(address)).rejects.toMatchObject({ code: 'ERR_DIAL_FAILED' })
  })

  it('does not begin when it is cancelled already', async () => {
    const { sockets, port } = await open()
    const dial = connectTcp({ host: '127.0.0.1', port }, { signal: AbortSignal.abort() })
    await expect(dial).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect(sockets).toEqual([])
  })

  it('stops when it is cancelled, with the reason given, and connects no more', async () => {
    const { sockets, port } = await open()
    const controller = new AbortController()
    const reason = new LinkSocksError('ERR_DIAL_TIMEOUT', 'took too long')
    const dial = connectTcp({ host: '127.0.0.1', port }, { signal: controller.signal })
    controller.abort(reason)
    await expect(dial).rejects.toBe(reason)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    // connections are accepted in their order: whatever comes before this one
    const later = connect(port, '127.0.0.1')
    onTestFinished(() => void later.destroy())
    await once(later, 'connect')
    await until(() => sockets.some(({ remotePort }) => remotePort === later.localPort))
    // the kernel may have shaken hands before: then the peer sees the end of it
    for (const socket of sockets.slice(0, -1)) {
      socket.resume()
      await until(() => socket.readableEnded || socket.destroyed)
    }
  })

  it('leaves no listener on the signal, and no tie between it and the stream', async () => {
    const { port } = await open()
    const controller = new AbortController()
    const stream = await connectTcp({ host: '127.0.0.1', port }, { signal: controller.signal })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    const told = new StreamRecorder(stream)
    told.start()
    controller.abort()
    expect(told.closed).toBe(false)
    stream.abort(new LinkSocksError('ERR_CANCELLED', 'done'))
  })

  it('leaves no listener on the signal when it fails', async () => {
    const port = await freePort()
    const { signal } = new AbortController()
    await expect(connectTcp({ host: '127.0.0.1', port }, { signal })).rejects.toMatchObject({
      code: 'ERR_DIAL_REFUSED',
    })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})
