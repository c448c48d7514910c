import { describe, expect, it } from 'vitest'
import { httpOrigin, openProxy, RawClient } from './fixture.js'

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
})
