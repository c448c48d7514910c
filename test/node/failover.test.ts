import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { freePort } from '../support/ports.js'
import { untilPasses } from '../support/wait.js'
import { echoServer, exchange, startClient, startServer, tcpServer } from './library-fixture.js'

const tokens = [{ type: 'forward', token: 'secret' }] as const

describe('a client with several servers', () => {
  it('takes the first that admits, and goes back to the first when its own is gone', async () => {
    const first = await freePort()
    const refusing = await startServer({ tokens: [{ type: 'forward', token: 'another' }] })
    const last = await startServer({ tokens })
    const urls = [`ws://127.0.0.1:${first}`, refusing.url, last.url]
    const { client, log } = await startClient({ url: urls, token: 'secret' })
    const echo = await echoServer()
    expect(await exchange(await client.dial('127.0.0.1', echo), 'by the last')).toBe('by the last')
    expect(log.of('link.failover').map(({ server, code }) => [server, code])).toEqual([
      [`127.0.0.1:${first}`, 'ERR_CONNECT'],
      [`127.0.0.1:${refusing.port}`, 'ERR_AUTH_REJECTED'],
    ])
    const started = await startServer({ tokens, port: first })
    await last.server.close()
    expect(await exchange(await client.dial('127.0.0.1', echo), 'by the first')).toBe('by the first')
    expect(started.log.of('link.admitted').length).toBe(1)
    expect(log.text).not.toContain('secret')
  })

  it('lets the streams of one that is away for a moment end there, while it goes on with the next', async () => {
    const [first, second] = [await startServer({ tokens }), await startServer({ tokens })]
    let away = false
    const carried = new Set<Socket>()
    const way = await tcpServer((socket) => {
      if (away) return void socket.destroy()
      const far = connect(first.port, '127.0.0.1')
      far.on('error', () => {}).on('close', () => socket.destroy())
      carried.add(socket.on('close', () => far.destroy()))
      socket.pipe(far).pipe(socket)
    })
    const { client, log } = await startClient({ url: [`ws://127.0.0.1:${way}`, second.url], token: 'secret' })
    const echo = await echoServer()
    const stream = await client.dial('127.0.0.1', echo)
    away = true
    for (const socket of carried) socket.destroy()
    await untilPasses(() => expect(second.log.of('link.admitted')).toHaveLength(1))
    stream.write('sent while it was away ')
    expect(await exchange(await client.dial('127.0.0.1', echo), 'by the next')).toBe('by the next')
    expect(log.of('session.left')).toEqual([{ server: `127.0.0.1:${way}`, channels: 1 }])
    away = false
    expect(await exchange(stream, 'and after')).toBe('sent while it was away and after')
    expect([log.of('session.rejoined').length, log.of('session.lost').length]).toEqual([1, 0])
    await untilPasses(() => expect(first.log.of('link.closed')).toHaveLength(1))
    expect(second.log.of('link.closed')).toEqual([])
  })

  it('ends at first when all of them refuse its token', async () => {
    const servers = [await startServer({ tokens }), await startServer({ tokens })]
    const wrong = startClient({ url: servers.map(({ url }) => url), token: 'wrong' })
    await expect(wrong).rejects.toMatchObject({ code: 'ERR_AUTH_REJECTED' })
  })
})
