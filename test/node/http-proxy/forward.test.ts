import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { until } from '../../support/wait.js'
import { httpOrigin, openProxy, RawClient, tcpOrigin } from './fixture.js'

/** Tells what it was asked, one connection after the other. */
function telling() {
  return httpOrigin((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const { method, url, rawHeaders, rawTrailers } = request
      response.end(JSON.stringify({ method, url, rawHeaders, rawTrailers, body: Buffer.concat(parts).toString() }))
    })
  })
}

interface Told {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly rawTrailers: readonly string[]
  readonly body: string
}

async function ask(request: (origin: number) => string): Promise<Told> {
  const [proxy, origin] = [await openProxy(), await telling()]
  const { status, body } = await proxy.send(request(origin))
  expect(status).toBe(200)
  return JSON.parse(body)
}

describe('a request in absolute form', () => {
  it('reaches its origin in origin form, with its path as it was written', async () => {
    const told = await ask(
      (port) => `GET HTTP://127.0.0.1:${port}/a/../%2e?q=%20&x HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n`,
    )
    expect([told.method, told.url]).toEqual(['GET', '/a/../%2e?q=%20&x'])
  })

  it('has the Host of its target, and loses what was for the proxy alone', async () => {
    const told = await ask(
      (port) =>
        `GET http://localhost:${port} HTTP/1.1\r\nHost: other\r\nX-A: 1\r\nx-a: 2\r\nX-Hop: 1\r\nTE: gzip\r\nKeep-Alive: 5\r\n` +
        'Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nConnection: close, x-hop\r\n\r\n',
    )
    expect(told.rawHeaders.join()).toMatch(/^Host,localhost:\d+,X-A,1,x-a,2,Connection,keep-alive$/)
    expect(told.url).toBe('/')
  })

  it('brings its body and its trailers in chunks', async () => {
    const told = await ask(
      (port) =>
        `POST http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: a\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n` +
        '3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-T: 7\r\nCookie: a\r\n\r\n',
    )
    expect([told.body, told.rawTrailers]).toEqual(['abcde', ['X-T', '7']])
  })

  it('is one of many on a connection, which its origin sees as one as well', async () => {
    const ports = new Set<number | undefined>()
    const origin = await httpOrigin((request, response) => {
      ports.add(request.socket.remotePort)
      response.end(request.url)
    })
    const { port } = await openProxy()
    const client = new RawClient(port)
    for (let i = 1; i <= 3; i += 1) {
      client.write(`GET http://127.0.0.1:${origin}/${i} HTTP/1.1\r\nHost: a\r\n\r\n`)
      await client.until(new RegExp(`\r\n\r\n/${i}$`))
    }
    expect(ports.size).toBe(1)
  })

  it('is answered in its turn when several came at once', async () => {
    const origin = await httpOrigin((request, response) => void response.end(request.url))
    const { send } = await openProxy()
    const requests = [1, 2, 3].map((n) => `GET http://127.0.0.1:${origin}/${n} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const { body } = await send(
      ...requests,
      `GET http://127.0.0.1:${origin}/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    )
    expect(`\r\n\r\n${body}`.match(/(?<=\r\n\r\n)\/\w+?(?=HTTP|$)/g)).toEqual(['/1', '/2', '/3', '/last'])
  })

  it('is answered though the client has ended its side', async () => {
    const origin = await httpOrigin((_request, response) => void setTimeout(() => response.end('late'), 30))
    const { port } = await openProxy()
    const client = new RawClient(port)
    client.write(`GET http://127.0.0.1:${origin}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
    client.socket.end()
    await client.until(/late$/)
  })

  it('resets the client and its origin when its body is broken', async () => {
    let got = ''
    let broken = false
    const origin = await tcpOrigin((socket) => {
      socket.on('data', (part) => {
        got += part.toString('latin1')
      })
      socket.on('error', () => {
        broken = true
      })
    })
    const { port } = await openProxy()
    const client = new RawClient(port)
    client.write(
      `POST http://127.0.0.1:${origin}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
    )
    await until(() => got.includes('abc'))
    client.write('no chunk')
    await client.closed
    expect(client.text).toBe('')
    await until(() => broken)
  })

  it('breaks off when its answer does', async () => {
    const origin = await tcpOrigin((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'))
    })
    const { port } = await openProxy()
    const client = new RawClient(port)
    client.write(`GET http://127.0.0.1:${origin}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
    await client.closed
    expect(client.socket.errored).toMatchObject({ code: 'ECONNRESET' })
  })
})

describe('CONNECT', () => {
  it('joins the client with its target, bytes that came behind the head included', async () => {
    const origin = await tcpOrigin((socket) => socket.pipe(socket))
    const { port, dialer } = await openProxy()
    const client = new RawClient(port)
    client.write(`CONNECT localhost:${origin} HTTP/1.1\r\nHost: a\r\n\r\nearly `)
    await client.until(/^HTTP\/1\.1 200 Connection established\r\n\r\nearly $/)
    client.write('later')
    client.socket.end()
    await client.until(/early later$/)
    await client.closed
    expect(dialer.dialled).toEqual([{ host: 'localhost', port: origin }])
    expect(dialer.options[0]).toMatchObject({ inbound: 'http', source: '127.0.0.1' })
  })

  it.each([
    ['ERR_DIAL_NOT_ALLOWED', 403, 'destination_ip_prohibited'],
    ['ERR_DIAL_NETWORK_UNREACHABLE', 502, 'destination_ip_unroutable'],
    ['ERR_DIAL_HOST_UNREACHABLE', 502, 'destination_ip_unroutable'],
    ['ERR_DIAL_REFUSED', 502, 'connection_refused'],
    ['ERR_DIAL_TIMEOUT', 504, 'connection_timeout'],
    ['ERR_DIAL_FAILED', 502, 'destination_unavailable'],
    ['ERR_SESSION_CLOSED', 503, 'destination_unavailable'],
  ] as const)('and absolute form answer %s with %i', async (code, status, type) => {
    const proxy = await openProxy()
    proxy.dialer.refuse = new LinkSocksError(code, 'told so')
    for (const request of ['CONNECT a:1', 'GET http://a/']) {
      const answer = await proxy.send(`${request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
      expect(answer.status).toBe(status)
      expect(answer.head).toContain(`Proxy-Status: linksocks; error=${type}`)
      expect(answer.body).toMatch(/^\S.*\n$/)
    }
  })
})
