import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { type HttpRequest, sendRequest } from '../../../src/node/connect/http-client.js'
import { packageVersion } from '../../../src/node/system/package-version.js'
import { httpProxy } from '../../support/proxies.js'
import { until } from '../../support/wait.js'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

/** A TCP server that does what `onRequest` says with the first bytes of each connection. */
async function server(onRequest: (socket: Socket, text: string) => void): Promise<{ url: string; open: Set<Socket> }> {
  const open = new Set<Socket>()
  const listening = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {}).on('close', () => open.delete(socket))
    socket.once('data', (bytes) => onRequest(socket, bytes.toString()))
  })
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    for (const socket of open) socket.destroy()
    await new Promise((resolve) => listening.close(resolve))
  })
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`, open }
}

const get = (url: string, more: Partial<HttpRequest> = {}): HttpRequest => ({
  url,
  method: 'GET',
  headers: {},
  maxBytes: 100,
  ...more,
})
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'

describe('sendRequest', () => {
  it('sends method, path, headers and body, and leaves no connection behind', async () => {
    let sent = ''
    const { url, open } = await server((socket, text) => {
      sent = text
      socket.write(OK)
    })
    const request = get(`${url}/a/b?c=d`, { method: 'POST', headers: { 'x-api-key': 'k' }, body: 'é' })
    const { status, body } = await sendRequest(request)
    expect([status, Buffer.from(body).toString()]).toEqual([200, 'hello'])
    const [head = '', content] = sent.split('\r\n\r\n')
    expect(content).toBe('é')
    const host = url.slice('http://'.length)
    expect(head.split('\r\n').sort()).toEqual(
      [
        'POST /a/b?c=d HTTP/1.1',
        `host: ${host}`,
        'connection: close',
        `User-Agent: linksocks/${packageVersion()}`,
        'x-api-key: k',
        'content-length: 2',
      ].sort(),
    )
    await until(() => open.size === 0)
  })

  it('reads an answer that comes byte by byte', async () => {
    const { url } = await server((socket) => {
      socket.setNoDelay()
      const send = (at: number): void => {
        if (at < OK.length) socket.write(OK.charAt(at), () => setImmediate(() => send(at + 1)))
      }
      send(0)
    })
    expect(Buffer.from((await sendRequest(get(url))).body).toString()).toBe('hello')
  })

  it('takes as many bytes as allowed and not one more', async () => {
    const { url, open } = await server((socket) => socket.write(OK))
    expect((await sendRequest(get(url, { maxBytes: 5 }))).body).toHaveLength(5)
    await expect(sendRequest(get(url, { maxBytes: 4 }))).rejects.toMatchObject({ code: 'ERR_LIMIT' })
    await until(() => open.size === 0)
  })

  it.each([
    ['the connection was closed', (socket: Socket) => socket.end()],
    ['the connection was closed', (socket: Socket) => socket.end(OK.slice(0, -1))],
    ['the answer is not HTTP', (socket: Socket) => socket.end('220 smtp ready\r\n')],
    ['the answer is not HTTP', (socket: Socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)],
  ])('says %s', async (reason, answer) => {
    const { url } = await server((socket) => answer(socket))
    const message = `no answer from ${url}: ${reason}`
    await expect(sendRequest(get(url))).rejects.toMatchObject({ code: 'ERR_CONNECT', message })
  })

  it('ends with the reason of its signal while it waits, and leaves no connection and no listener behind', async () => {
    const { url, open } = await server(() => {})
    const controller = new AbortController()
    const reason = new LinkSocksError('ERR_CANCELLED', 'enough')
    const sent = sendRequest(get(url), { signal: controller.signal })
    await until(() => open.size === 1)
    controller.abort(reason)
    await expect(sent).rejects.toBe(reason)
    await expect(sendRequest(get(url), { signal: controller.signal })).rejects.toBe(reason)
    await until(() => open.size === 0)
  })

  it('goes through a proxy', async () => {
    const { url } = await server((socket) => socket.write(OK))
    const proxy = await httpProxy({ targetPort: Number(new URL(url).port) })
    closers.push(() => proxy.close())
    const serverProxy = `http://127.0.0.1:${proxy.port}`
    expect((await sendRequest(get('http://relay.test/x', { serverProxy }))).status).toBe(200)
    expect(proxy.requests[0]).toMatch(/^CONNECT relay\.test:80 /)
    const proxyEnv = { http_proxy: 'http://127.0.0.1:1', https_proxy: serverProxy }
    await expect(sendRequest(get('http://relay.test', { proxyEnv }))).rejects.toThrow('the proxy http://127.0.0.1:1')
  })
})
