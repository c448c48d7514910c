import { describe, expect, it } from 'vitest'
import { HttpSocket } from '../../../src/node/http-proxy/http-socket.js'
import { settle } from '../../support/manual-clock.js'
import { memoryStreamPair } from '../../support/memory-stream.js'
import { until } from '../../support/wait.js'
import { httpOrigin, openProxy, RawClient } from './fixture.js'
import { MemoryProxy } from './memory-proxy.js'
import { message } from './messages.js'

const GET = message(['GET http://a.test/ HTTP/1.1', 'Host: a.test'])
const OK = message(['HTTP/1.1 200 OK', 'Content-Length: 2'], 'ok')
const TO_B = ['GET http://b.test/ HTTP/1.1', 'Host: b']
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

  it('answers 2,000 requests that come at once, in turn', async () => {
    const origin = await httpOrigin((request, response) => response.end(`<${request.url}>`))
    const { port } = await openProxy()
    const client = new RawClient(port)
    const paths = Array.from({ length: 2_000 }, (_, i) => `/${i}`)
    client.write(paths.map((path) => `GET http://127.0.0.1:${origin}${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))
    await client.until(/<\/1999>/)
    expect(client.text.match(/<.*?>/g)).toEqual(paths.map((path) => `<${path}>`))
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

  it('reads no more requests while 64 wait, and loses none', async () => {
    const proxy = new MemoryProxy()
    const requests = 500
    await proxy.send(GET.repeat(requests))
    const read = requests * GET.length - proxy.unread
    expect(read).toBeGreaterThanOrEqual(65 * GET.length)
    expect(read).toBeLessThanOrEqual(65 * GET.length + 1_024)
    for (let answered = 0; answered < requests; answered += 1) {
      proxy.origin().send(OK)
      await proxy.quiet()
    }
    expect(proxy.answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(requests)
    expect(proxy.client.state).toBe('open')
    await proxy.clock.advanceAsync(60_000)
    await proxy.quiet()
    expect([proxy.client.state, proxy.logged]).toEqual(['ended', []])
  })

  it.each([64, 65, 66, 200, 3_000])('answers %i requests at once, however the client reads', async (count) => {
    for (const stalledClient of [false, true]) {
      const proxy = new MemoryProxy({ stalledClient })
      await proxy.send(OPTIONS.repeat(count))
      if (stalledClient) await proxy.readAllAsItComes()
      expect(proxy.answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(count)
      expect(proxy.client.state).toBe('open')
      await proxy.end()
    }
  })

  it('answers what came before the end of a client with too many requests', async () => {
    const proxy = new MemoryProxy()
    proxy.client.send(OPTIONS.repeat(300))
    proxy.client.end()
    await proxy.quiet()
    expect(proxy.answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(300)
    expect([proxy.client.state, proxy.finished, proxy.clock.pending]).toEqual(['ended', true, 0])
  })

  it('forgets the requests of a client that goes while they wait', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(GET.repeat(300))
    await proxy.end()
    expect(proxy.dialled).toEqual(['a.test:80'])
    expect([proxy.finished, proxy.clock.pending, proxy.origin().state]).toEqual([true, 0, 'reset'])
  })

  it.each([
    ['a CONNECT', message(['CONNECT b.test:1 HTTP/1.1', 'Host: b']), 'tail'],
    ['an upgrade', message([...TO_B, 'Connection: Upgrade', 'Upgrade: websocket']), 'tail'],
    ['an upgrade to something else', message([...TO_B, 'Connection: Upgrade', 'Upgrade: h2c']), ''],
  ])('reaches %s behind as many requests as may wait, and more', async (_, last, tail) => {
    for (const before of [64, 65, 66, 300]) {
      const proxy = new MemoryProxy()
      await proxy.send(GET + OPTIONS.repeat(before - 1) + last + tail)
      expect(proxy.dialled).toEqual(['a.test:80'])
      proxy.origin().send(OK)
      await proxy.quiet()
      expect(proxy.answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(before)
      expect(proxy.dialled.slice(1).map((address) => address.slice(0, 6))).toEqual(['b.test'])
      if (last.includes('websocket')) {
        proxy.origin(1).send(message(['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket']))
        await proxy.quiet()
      }
      expect(proxy.origin(1).latin1.endsWith(tail)).toBe(true)
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

  it('gives the parser at most 16 KiB at a time, and 1 KiB where a head comes', async () => {
    const [near, far] = memoryStreamPair()
    let atHead = true
    const socket = new HttpSocket(near, { atHead: () => atHead })
    const pieces: number[] = []
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece.byteLength)
      atHead = pieces.length !== 1
    })
    far.start({ data: () => {}, end: () => {}, written: () => {}, close: () => {} })
    await settle()
    far.write(new Uint8Array(18 * 1024))
    await until(() => pieces.length === 3)
    expect(pieces).toEqual([1024, 16 * 1024, 1024])
    socket.destroy()
  })
})
