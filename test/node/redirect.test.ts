import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { untilPasses } from '../support/wait.js'
import { echoServer, startClient, startServer, tcpServer } from './library-fixture.js'

const tokens = [{ type: 'forward', token: 'secret' }] as const

/**
 * Stands before the server: redirects handshakes for /socket by the answer of `location`, where it gives one, and carries all others there.
 */
async function front(target: number, location: (query: string) => string | undefined) {
  const carried = new Set<Socket>()
  const redirected: string[] = []
  const port = await tcpServer((socket) => {
    socket.once('data', (head: Buffer) => {
      const path = /^GET (\S+)/.exec(head.toString('latin1'))?.[1] ?? ''
      const to = /^\/socket(\?|$)/.test(path) ? location(path.slice('/socket'.length)) : undefined
      if (to !== undefined) {
        redirected.push(to)
        socket.end(`HTTP/1.1 302 Found\r\nLocation: ${to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
        return
      }
      const far = connect(target, '127.0.0.1')
      atEnd(() => far.destroy())
      far.on('error', () => {}).on('close', () => socket.destroy())
      carried.add(socket)
      socket.on('close', () => carried.delete(socket) && far.destroy())
      far.write(head)
      socket.pipe(far)
      far.pipe(socket)
    })
  })
  const cut = (): void => {
    for (const socket of carried) socket.resetAndDestroy()
  }
  return { port, url: `ws://127.0.0.1:${port}`, carried, redirected, cut }
}

describe('a client that was redirected', () => {
  it('goes on with its streams behind a lost link where the redirect stays on the host', async () => {
    const server = await startServer({ tokens })
    const before = await front(server.port, (query) => `/socket/here${query}`)
    const { client, log } = await startClient({ url: before.url, token: 'secret' })
    const stream = await client.dial('127.0.0.1', await echoServer())
    stream.write('one ')
    expect(String((await once(stream, 'data'))[0])).toBe('one ')
    before.cut()
    await untilPasses(() => expect(log.of('link.up')).toHaveLength(2))
    stream.write('two')
    expect(String((await once(stream, 'data'))[0])).toBe('two')
    // the second time with the token in the first message, so without a query
    expect(before.redirected).toEqual([expect.stringMatching(/^\/socket\/here\?.*token=/), '/socket/here'])
    stream.destroy()
  })

  it('begins anew where it led to another host, which gets no token in plain text', async () => {
    const server = await startServer({ tokens })
    const elsewhere = await front(server.port, () => undefined)
    const before = await front(server.port, (query) => `${elsewhere.url}/socket${query}`)
    const { client, log } = await startClient({ url: before.url, token: 'secret' })
    const stream = await client.dial('127.0.0.1', await echoServer())
    const failed = once(stream, 'error')
    elsewhere.cut()
    expect((await failed)[0]).toMatchObject({ code: 'ERR_LINK_LOST' })
    await untilPasses(() => expect(log.of('link.up')).toHaveLength(2))
    expect(before.redirected.every((location) => location.includes('token='))).toBe(true)
    expect(before.redirected).toHaveLength(2)
  })
})
