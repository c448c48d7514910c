import { describe, expect, it } from 'vitest'
import { HttpSocket } from '../../../src/node/http-proxy/http-socket.js'
import { memoryStreamPair } from '../../support/memory-stream.js'
import { until } from '../../support/wait.js'
import { httpOrigin, openProxy, RawClient } from './fixture.js'
import { MemoryProxy } from './memory-proxy.js'
import { message } from './messages.js'

const GET = message(['GET http://a.test/ HTTP/1.1', 'Host: a.test'])
const OK = message(['HTTP/1.1 200 OK', 'Content-Length: 2'], 'ok')
/** One that the proxy answers itself. */
const OPTIONS = message(['OPTIONS http://a.test/ HTTP/1.1', 'Host: a.test', 'Max-Forwards: 0'])

/** A client whose first request was answered. */
async function atRest(): Promise<MemoryProxy> {
  const proxy = new MemoryProxy()
  await proxy.send(GET)
  proxy.origin().send(OK)
  await proxy.quiet()
  return proxy
}

describe('limits of an HTTP connection', () => {
  it('has a head of up to 16 KiB, and 431 beyond', async () => {
    const origin = await httpOrigin((request, response) => response.end(`${request.rawHeaders.length}`))
    const { send } = await openProxy()
    const request = (bytes: number): string =>
      `GET http://127.0.0.1:${origin}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ${'x'.repeat(bytes)}\r\n\r\n`
    expect((await send(request(16_000))).status).toBe(200)
    expect((await send(request(16_400))).status).toBe(431)
  })

  it('resets a client whose head does not come in time', async () => {
    const { port, log } = await openProxy({ handshakeTimeoutMs: 50 })
    const client = new RawClient(port)
    client.write('GET http://a/ HTTP/1.1\r\nHost: ')
    await client.closed
    expect(client.text).toBe('')
    expect(log.entries.at(-1)).toMatchObject({ event: 'proxy.failed', fields: { status: 408 } })
  })

  it('passes on every field that fits', async () => {
    const origin = await httpOrigin((request, response) => response.end(`${request.rawHeaders.length / 2}`))
    const { send } = await openProxy()
    const fields = Array.from({ length: 1_500 }, (_, i) => `a:${i % 10}\r\n`).join('')
    const { body } = await send(
      `GET http://127.0.0.1:${origin}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`,
    )
    // with Host and Connection
    expect(Number(body)).toBe(1_502)
  })

  it('resets a client with 66 requests that are not answered', async () => {
    const origin = await httpOrigin(() => {})
    const { port, dialer } = await openProxy()
    const client = new RawClient(port)
    client.write(`GET http://127.0.0.1:${origin}/ HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(66))
    await client.closed
    expect(client.text).toBe('')
    expect(dialer.dialled.length).toBeLessThanOrEqual(1)
  })

  it.each([64, 65])('names %i exceptions in a PAC file, or none', async (count) => {
    const { send } = await openProxy()
    const direct = Array.from({ length: count }, (_, i) => `h${i}`).join(',')
    const { status, body } = await send(`GET /proxy.pac?direct=${direct} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    expect(status).toBe(count === 64 ? 200 : 400)
    expect(body.includes('"h63"')).toBe(count === 64)
  })

  it('is closed after 60 s between two requests, and so is that to its origin', async () => {
    const proxy = await atRest()
    await proxy.clock.advanceAsync(59_999)
    await proxy.quiet()
    expect(proxy.client.state).toBe('open')
    await proxy.clock.advanceAsync(1)
    await proxy.quiet()
    expect([proxy.client.state, proxy.origin().state]).toEqual(['ended', 'ended'])
    expect(proxy.finished).toBe(true)
    expect(proxy.clock.pending).toBe(0)
    // in order, and no failure
    expect(proxy.log.entries).toEqual([])
  })

  it('has 60 s again after each request', async () => {
    const proxy = await atRest()
    await proxy.clock.advanceAsync(50_000)
    await proxy.send(GET)
    proxy.origin().send(OK)
    await proxy.quiet()
    await proxy.clock.advanceAsync(59_999)
    await proxy.quiet()
    expect(proxy.client.state).toBe('open')
    await proxy.end()
  })

  it('has no limit of time while a request is served', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(GET)
    await proxy.clock.advanceAsync(3_600_000)
    await proxy.quiet()
    expect(proxy.clock.pending).toBe(0)
    expect(proxy.client.state).toBe('open')
    await proxy.end()
  })

  it('has 10 s for the head of a later request, from its first byte', async () => {
    const proxy = await atRest()
    await proxy.clock.advanceAsync(30_000)
    await proxy.send('GET http')
    await proxy.clock.advanceAsync(5_000)
    await proxy.send('://a.test/')
    await proxy.clock.advanceAsync(4_999)
    await proxy.quiet()
    expect(proxy.client.state).toBe('open')
    await proxy.clock.advanceAsync(1)
    await proxy.quiet()
    expect(proxy.client.state).toBe('reset')
    expect(proxy.logged).toEqual([408])
    expect(proxy.finished).toBe(true)
  })

  it('has 10 s for the first head, from its beginning', async () => {
    const proxy = new MemoryProxy()
    await proxy.clock.advanceAsync(9_000)
    await proxy.send(GET.slice(0, -1))
    await proxy.clock.advanceAsync(999)
    await proxy.quiet()
    expect(proxy.client.state).toBe('open')
    await proxy.clock.advanceAsync(1)
    await proxy.quiet()
    expect(proxy.client.state).toBe('reset')
    expect(proxy.dialled).toEqual([])
  })

  it('answers 65 requests at once, and resets a client of 66', async () => {
    for (const [count, state] of [
      [65, 'open'],
      [66, 'reset'],
    ] as const) {
      const proxy = new MemoryProxy()
      await proxy.send(OPTIONS.repeat(count))
      expect(proxy.client.state).toBe(state)
      if (state === 'open') expect(proxy.answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(count)
      await proxy.end()
    }
  })

  it('carries 10,000 requests, and ends with the last one', async () => {
    const proxy = new MemoryProxy()
    const batch = 50
    for (let sent = batch; sent < 10_000; sent += batch) await proxy.send(OPTIONS.repeat(batch))
    await proxy.send(OPTIONS.repeat(batch - 1))
    expect(proxy.client.state).toBe('open')
    await proxy.send(OPTIONS)
    expect(proxy.client.state).toBe('ended')
    const answers = proxy.answer.split('HTTP/1.1 200 OK').slice(1)
    expect(answers).toHaveLength(10_000)
    expect(answers.filter((answer) => answer.includes('Connection: close'))).toEqual([answers.at(-1)])
    expect(proxy.finished).toBe(true)
  })

  it('gives the parser at most 16 KiB at a time', async () => {
    const [near, far] = memoryStreamPair()
    const socket = new HttpSocket(near)
    const pieces: number[] = []
    socket.on('data', (piece: Buffer) => pieces.push(piece.byteLength))
    far.start({ data: () => {}, end: () => {}, written: () => {}, close: () => {} })
    far.write(new Uint8Array(40 * 1024))
    await until(() => pieces.length === 3)
    expect(pieces).toEqual([16 * 1024, 16 * 1024, 8 * 1024])
    socket.destroy()
  })
})
