import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { limitInbound } from '../../../src/node/websocket/limit-inbound.js'
import { CLOSE_GRACE_MS } from '../../../src/node/websocket/ws-transport.js'
import { MAX_MESSAGE_BYTES, MIB } from '../../../src/protocol/limits.js'
import { messageTransportContract } from '../../contract/message-transport.js'
import { TransportRecorder } from '../../contract/transport-recorder.js'
import { untilPasses } from '../../support/wait.js'
import { clientFrame, WsHost } from '../../support/ws-pair.js'

const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9

const host = new WsHost()

beforeAll(() => host.listen())
afterAll(() => host.close())

messageTransportContract('WsTransport, client to server', async () => {
  const { client, server } = await host.pair()
  return pairOf(client, server)
})

messageTransportContract('WsTransport, server to client', async () => {
  const { client, server } = await host.pair()
  return pairOf(server, client)
})

function pairOf<T extends { abort(): void }>(a: T, b: T) {
  return {
    a,
    b,
    cleanup() {
      a.abort()
      b.abort()
    },
  }
}

async function startedRaw() {
  const { peer, server } = await host.raw()
  const seen = new TransportRecorder()
  server.start(seen)
  return { peer, server, seen }
}

describe('WsTransport', () => {
  it('delivers a text message as its bytes', async () => {
    const { peer, server, seen } = await startedRaw()
    peer.write(clientFrame(TEXT, Buffer.from('héllo')))
    await seen.until(() => seen.messages.length === 1)
    expect(Buffer.from(seen.messages[0] ?? []).toString()).toBe('héllo')
    server.abort()
  })

  it('reads a message that comes byte by byte, and counts each part as activity', async () => {
    const { peer, server, seen } = await startedRaw()
    for (const byte of clientFrame(BINARY, Buffer.from('slow'))) {
      const before = seen.activities
      peer.write(Uint8Array.of(byte))
      await seen.until(() => seen.activities > before)
    }
    await seen.until(() => seen.messages.length === 1)
    expect(Buffer.from(seen.messages[0] ?? []).toString()).toBe('slow')
    server.abort()
  })

  it('gives a small message memory of its own, whatever it arrived with', async () => {
    const { peer, server, seen } = await startedRaw()
    peer.write(Buffer.concat([clientFrame(BINARY, Uint8Array.of(7)), clientFrame(BINARY, new Uint8Array(60_000))]))
    await seen.until(() => seen.messages.length === 2)
    expect(seen.messages[0]?.buffer.byteLength).toBe(1)
    server.abort()
  })

  it('sends head and body as one frame', async () => {
    const { peer, server } = await startedRaw()
    const frame = new Promise<Buffer>((resolve) => peer.once('data', resolve))
    server.send(Uint8Array.of(1, 2), Uint8Array.of(3))
    expect(Array.from(await frame)).toEqual([0x82, 3, 1, 2, 3])
    server.abort()
  })

  it.each([
    [
      'a frame that announces more than the limit',
      clientFrame(BINARY, new Uint8Array(4), MAX_MESSAGE_BYTES + 1),
      'ERR_MESSAGE_TOO_LARGE',
    ],
    ['a frame that announces 2^62 bytes', clientFrame(BINARY, new Uint8Array(4), 2 ** 62), 'ERR_MESSAGE_TOO_LARGE'],
    ['an unknown opcode', clientFrame(3, new Uint8Array(1)), 'ERR_MESSAGE_INVALID'],
    ['a frame without a mask', Buffer.of(0x82, 1, 7), 'ERR_MESSAGE_INVALID'],
    ['text that is not UTF-8', clientFrame(TEXT, Buffer.of(0xff)), 'ERR_MESSAGE_INVALID'],
    ['a compressed frame nobody agreed on', Buffer.of(0xc2, 0x81, 0, 0, 0, 0, 7), 'ERR_MESSAGE_INVALID'],
    ['a continuation of nothing', clientFrame(0, new Uint8Array(1)), 'ERR_MESSAGE_INVALID'],
  ])('ends with an error on %s', async (_name, bytes, code) => {
    const { peer, seen } = await startedRaw()
    peer.on('data', () => peer.end())
    peer.write(bytes)
    const info = await seen.closed()
    expect(info).toMatchObject({ code: 1006, error: { code } })
    expect(seen.messages).toEqual([])
  })

  it('takes a message of exactly the limit', async () => {
    const { client, server } = await host.pair()
    const seen = new TransportRecorder()
    client.start(new TransportRecorder())
    server.start(seen)
    client.send(new Uint8Array(MAX_MESSAGE_BYTES))
    await seen.until(() => seen.messages.length === 1)
    expect(seen.totalBytes).toBe(MAX_MESSAGE_BYTES)
    client.abort()
  })

  it('reports 1006 without an error when the peer just ends the connection', async () => {
    const { peer, seen } = await startedRaw()
    peer.end()
    expect(await seen.closed()).toEqual({ code: 1006, reason: '', error: undefined })
  })

  it('sends nothing more to a peer that ended the connection, and calls that no failure', async () => {
    const { peer, server, seen } = await startedRaw()
    peer.allowHalfOpen = true
    // stays readable until it has all of this
    server.send(new Uint8Array(8 * MIB))
    peer.end()
    const left = new Promise<void>((resolve) => server.socket.once('end', resolve))
    await left
    await new Promise<void>((resolve) => {
      server.send(Uint8Array.of(1), undefined, resolve)
      server.ping()
      peer.resume()
    })
    expect(await seen.closed()).toEqual({ code: 1006, reason: '', error: undefined })
  })

  it('reports ERR_LINK_LOST when the peer resets the connection', async () => {
    const { peer, seen } = await startedRaw()
    peer.resetAndDestroy()
    expect(await seen.closed()).toMatchObject({ code: 1006, error: { code: 'ERR_LINK_LOST' } })
  })

  it('carries the reason of abort() in close', async () => {
    const { server, seen } = await startedRaw()
    server.abort(new LinkSocksError('ERR_AUTH_TIMEOUT', 'no Auth'))
    expect(await seen.closed()).toMatchObject({ code: 1006, error: { code: 'ERR_AUTH_TIMEOUT' } })
  })

  it('cuts a long close reason at a character boundary', async () => {
    const { client, server } = await host.pair()
    const seen = new TransportRecorder()
    client.start(seen)
    server.start(new TransportRecorder())
    server.close(4000, 'é'.repeat(100))
    expect(await seen.closed()).toMatchObject({ code: 4000, reason: 'é'.repeat(61) })
  })

  it('numbers its pings, and tells of the answer to the last one alone', async () => {
    const { peer, server, seen } = await startedRaw()
    const sent: Buffer[] = []
    peer.on('data', (chunk: Buffer) => sent.push(chunk))
    const pong = (payload: string): void => void peer.write(clientFrame(10, Buffer.from(payload)))
    for (const payload of ['0', '']) pong(payload)
    server.ping()
    server.ping()
    for (const payload of ['1', '', '02', 'other']) pong(payload)
    peer.write(clientFrame(BINARY, Buffer.from('x')))
    await seen.until(() => seen.messages.length === 1)
    expect(seen.pongs).toBe(0)
    pong('2')
    await seen.until(() => seen.pongs === 1)
    await untilPasses(() => expect(Buffer.concat(sent).toString('hex')).toBe('890131890132'))
    server.abort()
  })

  it('answers the last of many pings in one piece', async () => {
    const { peer, server, seen } = await startedRaw()
    const answered = new Promise<void>((resolve) => {
      peer.on('data', (chunk: Buffer) => chunk.includes('last') && resolve())
    })
    const pings = Array.from({ length: 1_000 }, (_, at) => clientFrame(PING, Buffer.from(`ping ${at}`)))
    peer.write(Buffer.concat([...pings, clientFrame(PING, Buffer.from('last'))]))
    await answered
    expect(seen.closes).toEqual([])
    server.abort()
  })

  it('answers a flood of pings only as far as the answers are read, and goes on', async () => {
    const { peer, server, seen } = await startedRaw()
    peer.pause()
    const ping = clientFrame(PING, Buffer.alloc(125))
    const burst = Buffer.concat(Array.from({ length: 1_000 }, () => ping))
    for (let i = 0; i < 200; i += 1) {
      await new Promise((resolve) => peer.write(burst, resolve))
      expect(server.bufferedAmount).toBeLessThan(2 * MIB)
    }
    peer.write(clientFrame(BINARY, Uint8Array.of(7)))
    await seen.until(() => seen.messages.length === 1)
    server.abort()
  })

  it('ends the connection some seconds after a close frame that stays unanswered', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const { server, seen } = await startedRaw()
      server.close(1001)
      await vi.advanceTimersByTimeAsync(CLOSE_GRACE_MS - 1)
      expect(seen.closes).toEqual([])
      await vi.advanceTimersByTimeAsync(1)
      expect((await seen.closed()).code).toBe(1006)
    } finally {
      vi.useRealTimers()
    }
  })

  it('ends the connection some seconds after a close frame whose sender stays', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const { peer, seen } = await startedRaw()
      peer.on('end', () => {})
      peer.allowHalfOpen = true
      peer.write(clientFrame(CLOSE, Buffer.of(0x03, 0xe8)))
      await seen.until(() => seen.activities > 0)
      await vi.advanceTimersByTimeAsync(CLOSE_GRACE_MS)
      expect((await seen.closed()).code).toBe(1000)
    } finally {
      vi.useRealTimers()
    }
  })

  it('ignores what is sent once the peer has said close', async () => {
    const { peer, server, seen } = await startedRaw()
    peer.allowHalfOpen = true
    peer.write(clientFrame(CLOSE, Buffer.of(0x03, 0xe8)))
    await seen.until(() => seen.activities > 0)
    await new Promise<void>((resolve) => server.send(new Uint8Array(1_000), undefined, resolve))
    expect(server.bufferedAmount).toBe(0)
    peer.end()
    await seen.closed()
  })
})

describe('limitInbound', () => {
  it('ends a peer that sends more than the limit before it is lifted', async () => {
    const { peer, server, seen } = await startedRaw()
    let exceeded = 0
    limitInbound(server, 1_000, () => (exceeded += 1))
    // the frame announces what a message may have; without the limit it would be awaited and buffered
    peer.write(clientFrame(BINARY, new Uint8Array(2_000), MAX_MESSAGE_BYTES))
    expect(await seen.closed()).toMatchObject({ code: 1006, error: { code: 'ERR_MESSAGE_TOO_LARGE' } })
    expect(exceeded).toBe(1)
    expect(seen.messages).toEqual([])
  })

  it('counts across messages', async () => {
    const { peer, server, seen } = await startedRaw()
    limitInbound(server, 100)
    for (let i = 0; i < 20; i += 1) peer.write(clientFrame(BINARY, new Uint8Array(10)))
    await seen.closed()
    expect(seen.messages.length).toBeLessThanOrEqual(6)
  })

  it('allows exactly the limit', async () => {
    const { peer, server, seen } = await startedRaw()
    limitInbound(server, 106)
    peer.write(clientFrame(BINARY, new Uint8Array(100)))
    await seen.until(() => seen.messages.length === 1)
    server.abort()
  })

  it('counts nothing after lift()', async () => {
    const { peer, server, seen } = await startedRaw()
    const limit = limitInbound(server, 100)
    peer.write(clientFrame(BINARY, new Uint8Array(50)))
    await seen.until(() => seen.messages.length === 1)
    limit.lift()
    limit.lift()
    peer.write(clientFrame(BINARY, new Uint8Array(5_000)))
    await seen.until(() => seen.messages.length === 2)
    server.abort()
  })

  it('can be lifted from within a delivery', async () => {
    const { peer, server } = await host.raw()
    const seen = new TransportRecorder()
    const limit = limitInbound(server, 100)
    const record = seen.message.bind(seen)
    seen.message = (data) => {
      record(data)
      limit.lift()
    }
    server.start(seen)
    peer.write(clientFrame(BINARY, new Uint8Array(10)))
    await seen.until(() => seen.messages.length === 1)
    peer.write(clientFrame(BINARY, new Uint8Array(500)))
    await seen.until(() => seen.messages.length === 2)
    server.abort()
  })
})
