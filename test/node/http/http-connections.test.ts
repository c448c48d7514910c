import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/log.js'
import { HttpConnections } from '../../../src/node/http/http-connections.js'
import { WsTransport } from '../../../src/node/websocket/ws-transport.js'
import { TransportRecorder } from '../../contract/transport-recorder.js'
import { stoppedClock } from '../stopped-clock.js'

const closers: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A connection as the server sees it. */
async function accepted(): Promise<Socket> {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  closers.push(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const client = connect(address.port, '127.0.0.1').on('error', () => {})
  closers.push(() => client.destroy())
  const [socket] = (await once(server, 'connection')) as [Socket]
  closers.push(() => socket.destroy())
  return socket
}

describe('HttpConnections', () => {
  it('ends a WebSocket that does not authenticate in time, counted from the accepted connection', async () => {
    const clock = stoppedClock()
    const connections = new HttpConnections(silentLogger, undefined, 200)
    const socket = await accepted()
    connections.track(socket)
    clock.advance(120)
    const transport = new WsTransport({ socket, head: Buffer.alloc(0) }, 'server')
    const seen = new TransportRecorder()
    transport.start(seen)
    connections.upgraded(transport, '127.0.0.1')
    clock.advance(79)
    expect(socket.destroyed).toBe(false)
    clock.advance(1)
    expect(await seen.closed()).toMatchObject({ error: { code: 'ERR_AUTH_TIMEOUT' } })
  })

  it('counts the TLS handshake of a connection for its time, and gives it one place', async () => {
    const clock = stoppedClock()
    const connections = new HttpConnections(silentLogger, 2, 200)
    const [raw, socket, other, third] = [await accepted(), await accepted(), await accepted(), await accepted()]
    connections.track(raw)
    clock.advance(150)
    connections.secured(raw, socket)
    // as the HTTP server does with each connection that it is given
    connections.track(socket)
    connections.track(other)
    expect([raw.destroyed, socket.destroyed, other.destroyed]).toEqual([false, false, false])
    const transport = new WsTransport({ socket, head: Buffer.alloc(0) }, 'server')
    const seen = new TransportRecorder()
    transport.start(seen)
    connections.upgraded(transport, '127.0.0.1')
    clock.advance(49)
    expect(socket.destroyed).toBe(false)
    const gone = once(socket, 'close')
    clock.advance(1)
    expect(await seen.closed()).toMatchObject({ error: { code: 'ERR_AUTH_TIMEOUT' } })
    await gone
    connections.track(third)
    expect(other.destroyed).toBe(false)
    connections.destroy()
    expect([raw.destroyed, other.destroyed, third.destroyed]).toEqual([false, true, true])
  })

  it('gives the place of a connection free that ends in its handshake', async () => {
    const connections = new HttpConnections(silentLogger, 1)
    const [raw, next] = [await accepted(), await accepted()]
    connections.track(raw)
    raw.destroy()
    await once(raw, 'close')
    connections.track(next)
    const last = await accepted()
    connections.track(last)
    expect([next.destroyed, last.destroyed]).toEqual([true, false])
  })

  it('gives every request on a connection its own time', async () => {
    const clock = stoppedClock()
    const connections = new HttpConnections(silentLogger, undefined, 150)
    const socket = await accepted()
    connections.track(socket)
    clock.advance(200)
    connections.setPending(socket)
    const transport = new WsTransport({ socket, head: Buffer.alloc(0) }, 'server')
    transport.start(new TransportRecorder())
    const admitted = connections.upgraded(transport, '127.0.0.1')
    clock.advance(149)
    admitted()
    expect(socket.destroyed).toBe(false)
  })

  it('leaves one alone that has authenticated', async () => {
    const clock = stoppedClock()
    const connections = new HttpConnections(silentLogger, undefined, 50)
    const socket = await accepted()
    connections.track(socket)
    const transport = new WsTransport({ socket, head: Buffer.alloc(0) }, 'server')
    transport.start(new TransportRecorder())
    connections.upgraded(transport, '127.0.0.1')()
    clock.advance(120)
    expect(socket.destroyed).toBe(false)
    connections.destroy()
    expect(socket.destroyed).toBe(false)
  })

  it('counts a connection as a stranger again behind its answer, and ends all that are no WebSockets', async () => {
    const connections = new HttpConnections(silentLogger, 1)
    const [first, second] = [await accepted(), await accepted()]
    connections.track(first)
    connections.accept(first)
    connections.track(second)
    expect(first.destroyed).toBe(false)
    connections.setPending(first)
    expect(second.destroyed).toBe(true)
    connections.destroy()
    expect(first.destroyed).toBe(true)
  })
})
