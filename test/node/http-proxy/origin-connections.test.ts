import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { KIB } from '../../../src/protocol/limits.js'
import { MemoryProxy } from './memory-proxy.js'
import { message } from './messages.js'

const GET = message(['GET http://a.test/ HTTP/1.1', 'Host: a.test'])
const POST = message(['POST http://a.test/ HTTP/1.1', 'Host: a.test', 'Content-Length: 3'], 'abc')
const OK = message(['HTTP/1.1 200 OK', 'Content-Length: 2'], 'ok')
const RESET = new LinkSocksError('ERR_CANCELLED', 'gone')
/** More than all buffers between two ends hold. */
const MUCH = 4_096 * KIB
/** What they hold at most. */
const BUFFERS = 1_536 * KIB

/** A client whose first request was answered: the connection to its origin is at rest. */
async function atRest(): Promise<MemoryProxy> {
  const proxy = new MemoryProxy()
  await proxy.send(GET)
  proxy.origin().send(OK)
  await proxy.quiet()
  return proxy
}

const statuses = ({ answer }: MemoryProxy): string[] => answer.match(/(?<=HTTP\/1\.1 )\d{3}/g) ?? []

describe('a connection to an origin at rest', () => {
  it('carries the next request to the same origin', async () => {
    const proxy = await atRest()
    await proxy.send(GET)
    expect(proxy.dialled).toHaveLength(1)
  })

  it('is given up for another origin', async () => {
    const proxy = await atRest()
    await proxy.send(GET.replace('//a.test', '//b.test'))
    expect(proxy.dialled).toEqual(['a.test:80', 'b.test:80'])
    expect(proxy.origin().state).toBe('ended')
  })

  it.each([
    ['has ended', (proxy: MemoryProxy) => proxy.origin().end()],
    ['was reset', (proxy: MemoryProxy) => proxy.origin().abort(RESET)],
    ['said something unasked', (proxy: MemoryProxy) => proxy.origin().send(OK.replace('ok', 'no'))],
  ])('is given up when it %s', async (_, happen) => {
    const proxy = await atRest()
    happen(proxy)
    await proxy.quiet()
    expect(proxy.origin().state).not.toBe('open')
    await proxy.send(GET)
    proxy.origin(1).send(OK)
    await proxy.quiet()
    expect(statuses(proxy)).toEqual(['200', '200'])
    expect(proxy.answer).not.toContain('no')
  })

  it.each([POST, GET.replace('GET', 'DELETE')])('never carries %j', async (request) => {
    const proxy = await atRest()
    await proxy.send(request)
    expect(proxy.dialled).toHaveLength(2)
    expect(proxy.origin().state).toBe('ended')
  })

  it('ends in order with the client', async () => {
    const proxy = await atRest()
    proxy.client.close()
    await proxy.quiet()
    expect(proxy.origin().state).toBe('ended')
    expect(proxy.finished).toBe(true)
  })

  it.each([
    ['reset', (proxy: MemoryProxy) => proxy.origin().abort(RESET)],
    ['ended', (proxy: MemoryProxy) => proxy.origin().close()],
  ])('that is %s under a request has it sent again, once', async (_, happen) => {
    const proxy = await atRest()
    await proxy.send(GET)
    happen(proxy)
    await proxy.quiet()
    expect(proxy.dialled).toHaveLength(2)
    proxy.origin(1).close()
    await proxy.quiet()
    expect(statuses(proxy)).toEqual(['200', '502'])
    expect(proxy.dialled).toHaveLength(2)
  })
})

describe('a new connection to an origin', () => {
  it.each([GET, POST])('that ends without an answer to %j gives 502', async (request) => {
    const proxy = new MemoryProxy()
    await proxy.send(request)
    proxy.origin().close()
    await proxy.quiet()
    expect(statuses(proxy)).toEqual(['502'])
    expect(proxy.answer).toContain('Proxy-Status: linksocks; error=http_response_incomplete')
    expect(proxy.dialled).toHaveLength(1)
    await proxy.send(GET)
    expect(proxy.dialled).toHaveLength(2)
  })

  it.each([GET, message(['CONNECT a.test:1 HTTP/1.1', 'Host: a'])])(
    'is called off when the client of %j is gone, and reset when it comes all the same',
    async (request) => {
      const proxy = new MemoryProxy()
      let open = (): void => {}
      proxy.dialling = new Promise<void>((resolve) => {
        open = resolve
      })
      await proxy.send(request)
      expect(proxy.calledOff).toEqual([false])
      proxy.client.abort(RESET)
      await proxy.quiet()
      expect(proxy.calledOff).toEqual([true])
      open()
      await proxy.quiet()
      expect(proxy.origin().state).toBe('reset')
      expect(proxy.finished).toBe(true)
      expect(proxy.clock.pending).toBe(0)
    },
  )

  it('is opened for a client that has only ended its side', async () => {
    const proxy = new MemoryProxy()
    let open = (): void => {}
    proxy.dialling = new Promise<void>((resolve) => {
      open = resolve
    })
    await proxy.send(GET)
    proxy.client.end()
    await proxy.quiet()
    open()
    await proxy.quiet()
    proxy.origin().send(OK)
    await proxy.quiet()
    expect(statuses(proxy)).toEqual(['200'])
    expect(proxy.client.state).toBe('ended')
    expect(proxy.finished).toBe(true)
  })
})

describe('a connection to an origin with a request', () => {
  it.each([
    ['in its body', POST.slice(0, -1), ''],
    ['while it waits for the answer', GET, ''],
    ['in the answer', GET, OK.slice(0, -1)],
  ])('is reset when the client is gone %s', async (_, request, answer) => {
    const proxy = new MemoryProxy()
    await proxy.send(request)
    proxy.origin().send(answer)
    await proxy.quiet()
    proxy.client.abort(RESET)
    await proxy.quiet()
    expect(proxy.origin().state).toBe('reset')
    expect(proxy.finished).toBe(true)
  })

  it.each([
    ['ends', (proxy: MemoryProxy) => proxy.origin().close()],
    ['is reset', (proxy: MemoryProxy) => proxy.origin().abort(RESET)],
  ])('that %s in the answer resets the client', async (_, happen) => {
    for (const answer of [OK.slice(0, -1), message(['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'], '2\r\nok\r\n')]) {
      const proxy = new MemoryProxy()
      await proxy.send(GET)
      proxy.origin().send(answer)
      await proxy.quiet()
      expect(proxy.client.state).toBe('open')
      happen(proxy)
      await proxy.quiet()
      expect(proxy.client.state).toBe('reset')
    }
  })

  it('that is reset resets a client whose answer goes to the end of the connection', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(GET.replace('1.1', '1.0'))
    proxy.origin().send(message(['HTTP/1.0 200 OK'], 'half'))
    await proxy.quiet()
    proxy.origin().abort(RESET)
    await proxy.quiet()
    expect(proxy.client.state).toBe('reset')
  })

  it('is not read while the client does not read', async () => {
    const proxy = new MemoryProxy({ stalledClient: true })
    await proxy.send(GET)
    proxy.origin().send(message(['HTTP/1.1 200 OK', `Content-Length: ${MUCH}`], 'x'.repeat(MUCH)))
    await proxy.quiet()
    expect(proxy.origin().writtenBytes).toBeLessThan(BUFFERS)
    expect(proxy.client.receivedBytes).toBeLessThan(BUFFERS)
    await proxy.end()
  })

  it('holds the client back while the origin does not read', async () => {
    const proxy = new MemoryProxy({ stalledOrigins: true })
    await proxy.send(message(['PUT http://a.test/ HTTP/1.1', 'Host: a', `Content-Length: ${MUCH}`], 'x'.repeat(MUCH)))
    expect(proxy.client.writtenBytes).toBeLessThan(BUFFERS)
    expect(proxy.origin().receivedBytes).toBeLessThan(BUFFERS)
    await proxy.end()
  })

  it('holds back a client with many requests', async () => {
    const proxy = new MemoryProxy()
    const request = message(['PUT http://a.test/ HTTP/1.1', 'Host: a', `Content-Length: ${MUCH}`], 'x'.repeat(MUCH))
    await proxy.send(GET + request)
    expect(proxy.client.writtenBytes).toBeLessThan(BUFFERS)
    await proxy.end()
  })

  it('passes 1 MiB each way without a byte lost', async () => {
    const proxy = new MemoryProxy()
    const body = Array.from({ length: 1_024 * 128 }, (_, i) => i.toString(16).padStart(8, '0')).join('')
    await proxy.send(message(['PUT http://a.test/ HTTP/1.1', 'Host: a', `Content-Length: ${body.length}`], body))
    proxy.origin().send(message(['HTTP/1.1 200 OK', `Content-Length: ${body.length}`], body))
    await proxy.quiet()
    expect(proxy.origin().latin1.endsWith(`\r\n\r\n${body}`)).toBe(true)
    expect(proxy.answer.endsWith(`\r\n\r\n${body}`)).toBe(true)
    await proxy.end()
  })

  it('does not hold what an origin says first for a client that does not read', async () => {
    const proxy = new MemoryProxy({ stalledClient: true })
    await proxy.send(GET)
    const hints = message(['HTTP/1.1 103 Early Hints', `Link: ${'x'.repeat(8_000)}`])
    for (let i = 0; i < 20; i += 1) {
      proxy.origin().send(hints.repeat(100))
      await proxy.quiet()
    }
    await proxy.readAllAsItComes()
    expect(proxy.client.receivedBytes).toBeLessThan(BUFFERS)
    await proxy.end()
  })
})

describe('Expect: 100-continue', () => {
  const HEAD = message(['PUT http://a.test/ HTTP/1.1', 'Host: a', 'Expect: 100-continue', 'Content-Length: 3'])

  it('reaches the origin, whose 100 comes back before the body goes on', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(HEAD)
    expect(proxy.origin().latin1).toBe(
      message([
        'PUT / HTTP/1.1',
        'Host: a.test',
        'Expect: 100-continue',
        'Content-Length: 3',
        'Connection: keep-alive',
      ]),
    )
    expect(proxy.answer).toBe('')
    proxy.origin().send(message(['HTTP/1.1 100 Continue']))
    await proxy.quiet()
    expect(proxy.answer).toBe(message(['HTTP/1.1 100 Continue']))
    await proxy.send('abc')
    expect(proxy.origin().latin1.endsWith('\r\n\r\nabc')).toBe(true)
    proxy.origin().send(OK)
    await proxy.quiet()
    expect(statuses(proxy)).toEqual(['100', '200'])
    expect(proxy.client.state).toBe('open')
  })

  it('ends the connection when the origin answers at once', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(HEAD)
    proxy.origin().send(message(['HTTP/1.1 417 No', 'Content-Length: 0']))
    await proxy.quiet()
    expect(proxy.answer).toBe(message(['HTTP/1.1 417 No', 'Content-Length: 0', 'Connection: close']))
    expect(proxy.client.state).toBe('ended')
    expect(proxy.origin().state).toBe('reset')
    await proxy.send(GET)
    expect(proxy.dialled).toHaveLength(1)
  })

  it('need not be waited for, but then the connection ends', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(`${HEAD}abc`)
    expect(proxy.origin().latin1.endsWith('\r\n\r\nabc')).toBe(true)
    proxy.origin().send(OK)
    await proxy.quiet()
    expect(statuses(proxy)).toEqual(['200'])
    expect(proxy.client.state).toBe('ended')
  })

  it('refuses what else is expected with 417, and ends the connection', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(`${HEAD.replace('100-continue', 'the-unexpected')}abc${GET}`)
    expect(statuses(proxy)).toEqual(['417'])
    expect(proxy.client.state).toBe('ended')
    expect(proxy.dialled).toEqual([])
    expect(proxy.logged).toEqual([417])
  })
})

describe('an answer before the body is complete', () => {
  it('goes on, and so does the body, but the client has no other request', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(POST.slice(0, -2))
    proxy.origin().send(OK.slice(0, -1))
    await proxy.quiet()
    await proxy.send(`bc${GET}`)
    expect(proxy.origin().latin1.endsWith('\r\n\r\nabc')).toBe(true)
    proxy.origin().send('k')
    await proxy.quiet()
    expect(proxy.answer).toBe(message(['HTTP/1.1 200 OK', 'Content-Length: 2', 'Connection: close'], 'ok'))
    expect(proxy.client.state).toBe('ended')
    expect(proxy.dialled).toHaveLength(1)
  })

  it('has the head of its request reach the origin before the body comes', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(POST.slice(0, -3))
    expect(proxy.origin().latin1).toBe(
      message(['POST / HTTP/1.1', 'Host: a.test', 'Content-Length: 3', 'Connection: keep-alive']),
    )
  })
})

describe('a client that ends its side', () => {
  it.each([
    ['in a head', GET.slice(0, -2)],
    ['in a body', POST.slice(0, -1)],
  ])('%s is refused, and its origin reset', async (_, request) => {
    const proxy = new MemoryProxy()
    await proxy.send(request)
    proxy.client.end()
    await proxy.quiet()
    expect(statuses(proxy).filter((status) => status !== '400')).toEqual([])
    expect(proxy.client.state).not.toBe('open')
    expect(proxy.origins.map(({ state }) => state)).not.toContain('open')
    expect(proxy.finished).toBe(true)
    expect(proxy.clock.pending).toBe(0)
  })

  it('after its requests gets all answers', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(GET + GET)
    proxy.client.end()
    await proxy.quiet()
    proxy.origin().send(OK)
    await proxy.quiet()
    proxy.origin().send(OK)
    await proxy.quiet()
    expect(statuses(proxy)).toEqual(['200', '200'])
    expect(proxy.client.state).toBe('ended')
    expect(proxy.finished).toBe(true)
  })

  it('between two requests is gone', async () => {
    const proxy = await atRest()
    proxy.client.end()
    await proxy.quiet()
    expect(proxy.finished).toBe(true)
    expect(proxy.clock.pending).toBe(0)
  })
})

describe('a long answer before CONNECT', () => {
  it('goes on when the client reads again', async () => {
    const proxy = new MemoryProxy({ stalledClient: true })
    await proxy.send(GET + message(['CONNECT b.test:1 HTTP/1.1', 'Host: b']))
    proxy.origin().send(message(['HTTP/1.1 200 OK', `Content-Length: ${MUCH}`], 'x'.repeat(MUCH)))
    await proxy.quiet()
    await proxy.readAllAsItComes()
    expect(proxy.client.receivedBytes).toBeGreaterThan(MUCH)
    expect(proxy.dialled).toEqual(['a.test:80', 'b.test:1'])
    await proxy.end()
  })
})
