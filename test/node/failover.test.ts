import { describe, expect, it } from 'vitest'
import { freePort } from '../support/ports.js'
import { echoServer, exchange, startClient, startServer } from './library-fixture.js'

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

  it('ends at first when all of them refuse its token', async () => {
    const servers = [await startServer({ tokens }), await startServer({ tokens })]
    const wrong = startClient({ url: servers.map(({ url }) => url), token: 'wrong' })
    await expect(wrong).rejects.toMatchObject({ code: 'ERR_AUTH_REJECTED' })
  })
})
