import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { MemoryProxy } from './memory-proxy.js'
import { message } from './messages.js'

const GET = message(['GET http://a.test/ HTTP/1.1', 'Host: a.test'])
const CONNECT = message(['CONNECT b.test:1 HTTP/1.1', 'Host: b'])
const UPGRADE = message(['GET http://b.test/ HTTP/1.1', 'Host: b', 'Connection: Upgrade', 'Upgrade: websocket'])
const OK = message(['HTTP/1.1 200 OK', 'Content-Length: 2'], 'ok')
const SWITCHED = message(['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'])
const RESET = new LinkSocksError('ERR_CANCELLED', 'gone')

/** Lets each dial wait until the function returned is called. */
function heldDials(proxy: MemoryProxy): () => void {
  let open = (): void => {}
  proxy.dialling = new Promise<void>((resolve) => {
    open = resolve
  })
  return () => open()
}

function expectOver(proxy: MemoryProxy): void {
  expect(proxy.finished).toBe(true)
  expect(proxy.clock.pending).toBe(0)
  expect(proxy.origins.map(({ state }) => state)).not.toContain('open')
}

describe.each([
  ['CONNECT', CONNECT],
  ['an upgrade', UPGRADE],
  ['a request', GET.replaceAll('a.test', 'b.test')],
])('%s that waits for the answer before it', (_, request) => {
  it('is never dialled when the client goes', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(GET + request)
    expect(proxy.dialled).toEqual(['a.test:80'])
    proxy.client.abort(RESET)
    await proxy.quiet()
    expect(proxy.dialled).toEqual(['a.test:80'])
    expectOver(proxy)
  })

  it('is never dialled when that answer breaks off', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(GET + request)
    proxy.origin().send(OK.slice(0, -1))
    proxy.origin().end()
    await proxy.quiet()
    expect(proxy.dialled).toEqual(['a.test:80'])
    expect(proxy.client.state).toBe('reset')
    expectOver(proxy)
  })
})

describe.each([
  ['CONNECT', CONNECT],
  ['an upgrade', UPGRADE],
])('%s', (_, request) => {
  it('is called off when the client goes, and a stream that comes all the same is reset', async () => {
    const proxy = new MemoryProxy()
    const open = heldDials(proxy)
    await proxy.send(request)
    proxy.client.abort(RESET)
    await proxy.quiet()
    expect(proxy.calledOff).toEqual([true])
    open()
    await proxy.quiet()
    expectOver(proxy)
  })

  it('goes on for a client that has only ended its side', async () => {
    const proxy = new MemoryProxy()
    const open = heldDials(proxy)
    await proxy.send(request)
    proxy.client.end()
    await proxy.quiet()
    expect(proxy.calledOff).toEqual([false])
    open()
    await proxy.quiet()
    expect(proxy.origins).toHaveLength(1)
    await proxy.end()
    expectOver(proxy)
  })

  it('is answered when it fails, and ends the connection', async () => {
    const proxy = new MemoryProxy()
    proxy.dialling = Promise.reject(new LinkSocksError('ERR_DIAL_REFUSED', 'refused'))
    await proxy.send(request)
    expect(proxy.answer).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/)
    expect(proxy.answer).toContain('\r\nProxy-Status: linksocks; error=connection_refused\r\n')
    expect(proxy.client.state).toBe('ended')
    expect(proxy.logged).toEqual([502])
    expectOver(proxy)
  })

  it('has bytes, half-closes and ends pass both ways once it is joined', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(`${request}one`)
    if (request === UPGRADE) proxy.origin().send(SWITCHED)
    await proxy.quiet()
    await proxy.send(' two')
    expect(proxy.finished).toBe(true)
    expect(proxy.origin().latin1.endsWith('one two')).toBe(true)
    proxy.origin().send('three')
    proxy.origin().end()
    await proxy.quiet()
    expect(proxy.answer.endsWith('\r\n\r\nthree')).toBe(true)
    await proxy.send(' four')
    expect(proxy.origin().latin1.endsWith('one two four')).toBe(true)
    proxy.client.end()
    await proxy.quiet()
    expect([proxy.client.closed, proxy.origin().closed]).toEqual([true, true])
    expect([proxy.client.error, proxy.origin().error]).toEqual([undefined, undefined])
  })

  it('has a reset pass both ways once it is joined', async () => {
    for (const side of ['client', 'origin'] as const) {
      const proxy = new MemoryProxy()
      await proxy.send(request)
      if (request === UPGRADE) proxy.origin().send(SWITCHED)
      await proxy.quiet()
      const [one, other] = side === 'client' ? [proxy.client, proxy.origin()] : [proxy.origin(), proxy.client]
      one.abort(RESET)
      await proxy.quiet()
      expect(other.state).toBe('reset')
    }
  })

  it('has no limit of time once it is joined', async () => {
    const proxy = new MemoryProxy()
    await proxy.send(request)
    if (request === UPGRADE) proxy.origin().send(SWITCHED)
    await proxy.quiet()
    expect(proxy.clock.pending).toBe(0)
    await proxy.end()
  })
})

describe('an upgrade that fails', () => {
  it.each([
    ['a broken answer', 'HTTP/1.1 101\n\n'],
    ['no answer', ''],
  ])('with %s gives 502', async (_, answer) => {
    const proxy = new MemoryProxy()
    await proxy.send(UPGRADE)
    proxy.origin().send(answer)
    proxy.origin().close()
    await proxy.quiet()
    expect(proxy.answer).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/)
    expect(proxy.client.state).toBe('ended')
    expectOver(proxy)
  })
})
