import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/log.js'
import { HttpChallenges } from '../../../src/node/acme/http-challenges.js'
import { atEnd } from '../../support/at-end.js'
import { freePort, isFree } from '../../support/ports.js'
import { rawHttp } from '../../support/raw-http.js'
import { FakeSocket } from '../fake-socket.js'

const HOST = '127.0.0.1'
const PATH = '/.well-known/acme-challenge/'
const ANSWER = 'a-token.thumbprint'

async function setUp() {
  const http = new HttpChallenges()
  atEnd(() => http.close())
  const port = await freePort()
  await http.open({ host: HOST, port }, { log: silentLogger })
  const ask = (path: string, method = 'GET', more = '') =>
    rawHttp(port, `${method} ${path} HTTP/1.1\r\nHost: relay.test\r\nConnection: close\r\n${more}\r\n`)
  return { http, port, ask }
}

describe('HttpChallenges', () => {
  it('serves a token that was put, byte for byte, until it is withdrawn', async () => {
    const { http, ask } = await setUp()
    expect((await ask(`${PATH}a-token`)).status).toBe(404)
    const withdraw = http.put('a-token', ANSWER)
    const { status, head, body } = await ask(`${PATH}a-token`)
    expect({ status, body }).toEqual({ status: 200, body: ANSWER })
    expect(head.toLowerCase()).toContain('content-type: application/octet-stream')
    withdraw()
    expect((await ask(`${PATH}a-token`)).status).toBe(404)
    withdraw()
  })

  it('serves on a socket that was passed', async () => {
    const http = new HttpChallenges()
    atEnd(() => http.close())
    const socket = new FakeSocket(80)
    await http.open({ fd: 3 }, { log: silentLogger, inherited: () => socket as never })
    http.put('a-token', ANSWER)
    const text = `GET ${PATH}a-token HTTP/1.1\r\nHost: relay.test\r\nConnection: close\r\n\r\n`
    expect((await rawHttp(socket.port, text)).body).toBe(ANSWER)
    await http.close()
    expect(socket.isOpen).toBe(false)
  })

  it('serves several at a time, and withdraws one alone', async () => {
    const { http, ask } = await setUp()
    const withdraw = http.put('one', 'one.x')
    http.put('two', 'two.x')
    withdraw()
    expect([(await ask(`${PATH}one`)).status, (await ask(`${PATH}two`)).body]).toEqual([404, 'two.x'])
  })

  it('answers HEAD without the body', async () => {
    const { http, ask } = await setUp()
    http.put('a-token', ANSWER)
    const { status, body } = await ask(`${PATH}a-token`, 'HEAD')
    expect({ status, body }).toEqual({ status: 200, body: '' })
  })

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('refuses %s', async (method) => {
    const { http, ask } = await setUp()
    http.put('a-token', ANSWER)
    const { status, head, body } = await ask(`${PATH}a-token`, method, 'Content-Length: 0\r\n')
    expect(status).toBe(405)
    expect(head + body).not.toContain(ANSWER)
  })

  it.each([
    ['/', 'the root'],
    [PATH, 'no token'],
    [`${PATH}a-token/`, 'more after the token'],
    [`${PATH}A-TOKEN`, 'another spelling'],
    [`${PATH}%61-token`, 'an encoded token'],
    [`${PATH}x/../a-token`, 'a path that leads there'],
    [`${PATH}..%2Facme-challenge%2Fa-token`, 'an encoded path that leads there'],
    ['/.well-known//acme-challenge/a-token', 'two slashes'],
    ['/%2ewell-known/acme-challenge/a-token', 'an encoded folder'],
    ['/api/tokens', 'the API'],
    ['/socket', 'the socket'],
    [`${PATH}constructor`, 'what every object has'],
  ])('finds nothing at %s (%s)', async (path) => {
    const { http, ask } = await setUp()
    http.put('a-token', ANSWER)
    const { status, body } = await ask(path)
    expect(status).toBe(404)
    expect(body).not.toContain(ANSWER)
  })

  it('takes a query for nothing', async () => {
    const { http, ask } = await setUp()
    http.put('a-token', ANSWER)
    expect((await ask(`${PATH}a-token?x=1`)).body).toBe(ANSWER)
  })

  it('opens no WebSocket', async () => {
    const { http, ask } = await setUp()
    http.put('a-token', ANSWER)
    const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n'
    const { status } = await ask(`${PATH}a-token`, 'GET', `Upgrade: websocket\r\nConnection: Upgrade\r\n${key}`)
    expect(status).not.toBe(101)
  })

  it('says whether it is open, and gives its port back', async () => {
    const closed = new HttpChallenges()
    expect(closed.isOpen).toBe(false)
    await closed.close()
    const { http, port } = await setUp()
    expect(http.isOpen).toBe(true)
    await expect(new HttpChallenges().open({ host: HOST, port }, { log: silentLogger })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
    })
    await http.close()
    await http.close()
    expect(await isFree(port)).toBe(true)
  })
})
