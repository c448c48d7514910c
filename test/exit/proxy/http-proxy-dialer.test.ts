import { describe, expect, it } from 'vitest'
import { type ErrorCode, LinkSocksError } from '../../../src/errors.js'
import { defaultEgressPolicy } from '../../../src/exit/dial/policy.js'
import { HttpProxyDialer } from '../../../src/exit/proxy/http-proxy-dialer.js'
import { MAX_PROXY_MESSAGE_BYTES } from '../../../src/exit/proxy/proxy-exchange.js'
import type { AbortOptions } from '../../../src/ports.js'
import { CONNECT_TIMEOUT_MS } from '../../../src/protocol/limits.js'
import { Rep, repOf } from '../../../src/protocol/rep.js'
import { settle } from '../../support/manual-clock.js'
import { type MemoryStreamOptions, TestPeer } from '../../support/memory-stream.js'
import { failureOf } from '../fakes.js'
import { FakeProxy } from './proxy-fixture.js'

const TARGET = { host: 'example.com', port: 443 }
const OK = 'HTTP/1.1 200 Connection established\r\n\r\n'

function setUp(url = 'http://proxy.example:3128', options?: MemoryStreamOptions) {
  const proxy = new FakeProxy(url, options)
  const dialer = new HttpProxyDialer({
    proxy: proxy.url,
    inner: proxy,
    clock: proxy.clock,
    policy: defaultEgressPolicy,
  })
  const dial = async (answer: string, abort?: AbortOptions) => {
    const dialled = dialer.dial(TARGET, abort)
    dialled.catch(() => {})
    await settle()
    const peer = proxy.peer(proxy.peers.length - 1)
    peer.write(answer)
    return { dialled, peer }
  }
  return { proxy, dialer, dial }
}

describe('HttpProxyDialer', () => {
  it('asks for the destination and gives a stream to it', async () => {
    const { dial, proxy } = setUp('http://us%C3%A9r:secret@proxy.example')
    const { dialled, peer } = await dial(OK)
    const far = new TestPeer(await dialled)
    expect(new TextDecoder().decode(await peer.read(peer.receivedBytes))).toBe(
      'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nProxy-Authorization: Basic dXPDqXI6c2VjcmV0\r\n\r\n',
    )
    far.write('ping')
    far.end()
    expect(new TextDecoder().decode(await peer.readAll())).toBe('ping')
    peer.write('pong')
    peer.end()
    expect(new TextDecoder().decode(await far.readAll())).toBe('pong')
    expect(far.writtenBytes).toBe(4)
    expect(proxy.clock.pending).toBe(0)
  })

  it('serves a second dial with a connection of its own', async () => {
    const { dial, proxy } = setUp()
    const first = await dial(OK)
    const second = await dial(OK)
    await Promise.all([first.dialled, second.dialled])
    expect(proxy.dialled).toHaveLength(2)
  })

  it('keeps bytes that share a segment with the header, of any length announced', async () => {
    const { dial } = setUp()
    const { dialled, peer } = await dial('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nSSH-2.0-early\r\n')
    peer.end()
    expect(new TextDecoder().decode(await new TestPeer(await dialled).readAll())).toBe('SSH-2.0-early\r\n')
  })

  it('reads an answer split at every byte', async () => {
    const { dial } = setUp(undefined, { chunkSize: 1 })
    const { dialled, peer } = await dial(`HTTP/1.0 204 Fine\r\nProxy-Agent: x\r\n\r\nearly`)
    peer.end()
    expect(new TextDecoder().decode(await new TestPeer(await dialled).readAll())).toBe('early')
  })

  it('reads a few interim answers first', async () => {
    const { dial } = setUp()
    const { dialled } = await dial(`${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(4)}${OK}`)
    await dialled
    const endless = await dial('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(5) + OK)
    expect((await failureOf(endless.dialled)).code).toBe('ERR_PROXY_FAILED')
  })

  it.each<[string, ErrorCode]>([
    ['403 Forbidden', 'ERR_DIAL_NOT_ALLOWED'],
    ['407 Proxy Authentication Required', 'ERR_DIAL_NOT_ALLOWED'],
    ['502 Bad Gateway', 'ERR_DIAL_HOST_UNREACHABLE'],
    ['503 Service Unavailable', 'ERR_DIAL_HOST_UNREACHABLE'],
    ['504 Gateway Timeout', 'ERR_DIAL_TIMEOUT'],
    ['101 Switching Protocols', 'ERR_PROXY_FAILED'],
    ['302 Found', 'ERR_PROXY_FAILED'],
    ['400 Bad Request', 'ERR_PROXY_FAILED'],
    ['500 200 OK', 'ERR_PROXY_FAILED'],
  ])('fails at "%s" with %s', async (status, code) => {
    const { dial, proxy } = setUp('http://u:hunter2@h')
    const { dialled } = await dial(`HTTP/1.1 ${status}\r\nX: 200\r\n\r\nHTTP/1.1 200 OK\r\n\r\n`)
    const error = await failureOf(dialled)
    expect(error).toMatchObject({ code, message: `the proxy answered ${status}` })
    expect(proxy.streams[0]?.closed).toBe(true)
    expect(proxy.clock.pending).toBe(0)
  })

  it.each([
    'X-Status: 200 OK\r\n\r\n',
    'HTTP/1.1 20x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
    'HTTP/2 200\r\n\r\n',
    '<html>200 OK</html>\r\n\r\n',
  ])('does not take %j for success', async (answer) => {
    const { dial } = setUp()
    expect((await failureOf((await dial(answer)).dialled)).code).toBe('ERR_PROXY_FAILED')
  })

  it('accepts a header at the limit and no larger one', async () => {
    const { dial } = setUp()
    const header = (length: number): string => {
      const start = 'HTTP/1.1 200 OK\r\nX: '
      return `${start}${'x'.repeat(length - start.length - 4)}\r\n\r\n`
    }
    await (await dial(header(MAX_PROXY_MESSAGE_BYTES))).dialled
    const { dialled } = await dial(header(MAX_PROXY_MESSAGE_BYTES + 1))
    expect((await failureOf(dialled)).code).toBe('ERR_PROXY_FAILED')
  })

  it.each(['', 'HTTP/1.1 200 OK', 'HTTP/1.1 200 OK\r\nX: y\r\n'])('has a deadline after %j', async (answer) => {
    const { dial, proxy } = setUp()
    const { dialled } = await dial(answer)
    await proxy.clock.advanceAsync(CONNECT_TIMEOUT_MS)
    expect((await failureOf(dialled)).code).toBe('ERR_DIAL_TIMEOUT')
    expect(proxy.streams[0]?.closed).toBe(true)
  })

  it('fails when the proxy hangs up in the middle', async () => {
    const { dial } = setUp()
    const { dialled, peer } = await dial('HTTP/1.1 200 OK\r\n')
    peer.end()
    expect((await failureOf(dialled)).code).toBe('ERR_PROXY_FAILED')
  })

  it('is cancelled while it waits', async () => {
    const { dial, proxy } = setUp()
    const controller = new AbortController()
    const { dialled } = await dial('HTTP/1.1 ', { signal: controller.signal })
    controller.abort(new LinkSocksError('ERR_SESSION_CLOSED', 'over'))
    expect((await failureOf(dialled)).code).toBe('ERR_SESSION_CLOSED')
    expect(proxy.streams[0]?.closed).toBe(true)
  })

  it.each(['a\r\nX-Evil: 1', 'a b', 'a/b', '169.254.169.254', '0xa9fea9fe', '::1%lo'])(
    'does not ask the proxy for %j',
    async (host) => {
      const { dialer, proxy } = setUp()
      expect((await failureOf(dialer.dial({ host, port: 80 }))).code).toMatch(
        /^ERR_DIAL_(?:FAILED|HOST_UNREACHABLE|NOT_ALLOWED)$/,
      )
      expect(proxy.dialled).toEqual([])
    },
  )

  it('refuses UDP instead of going around the proxy', async () => {
    const { dialer } = setUp()
    expect(repOf(await failureOf(dialer.associate()))).toBe(Rep.CommandNotSupported)
  })
})
