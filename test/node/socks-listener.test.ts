import { describe, expect, it } from 'vitest'
import { freePort } from '../support/ports.js'
import { newClient, startServer } from './library-fixture.js'

const USER = { username: 'ann', password: 'pw' }

describe('a SOCKS port that more than this machine reaches', () => {
  it.each([
    [{}, '0.0.0.0', true],
    [{}, '127.0.0.1', false],
    [USER, '0.0.0.0', false],
    [{ allowManageConnector: true }, '0.0.0.0', false],
  ])('of a reverse token with %j on %s is warned of: %s', async (more, socksHost, warned) => {
    const port = 'allowManageConnector' in more ? undefined : await freePort()
    const spec = { type: 'reverse', token: 'office', port, ...more } as const
    const { log } = await startServer({ socksHost, tokens: [spec] })
    expect(log.of('socks.unprotected')).toHaveLength(warned ? 1 : 0)
  })

  it('is warned of when the HTTP API adds the token', async () => {
    const { log, port } = await startServer({ socksHost: '0.0.0.0', apiKey: 'key' })
    const body = JSON.stringify({ type: 'reverse', token: 'office', port: await freePort() })
    const answer = await fetch(`http://127.0.0.1:${port}/api/token`, {
      method: 'POST',
      headers: { 'X-API-Key': 'key' },
      body,
    })
    expect(answer.status).toBe(200)
    expect(log.of('socks.unprotected')).toEqual([expect.objectContaining({ host: '0.0.0.0' })])
  })

  it('is warned of when its password is taken away', async () => {
    const spec = { type: 'reverse', token: 'office', port: await freePort(), ...USER } as const
    const { log, port } = await startServer({ socksHost: '0.0.0.0', apiKey: 'key', tokens: [spec] })
    const headers = { 'X-API-Key': 'key' }
    const list = await fetch(`http://127.0.0.1:${port}/api/tokens`, { headers })
    const { tokens } = (await list.json()) as { tokens: readonly { id: string }[] }
    const body = JSON.stringify({ username: null, password: null })
    await fetch(`http://127.0.0.1:${port}/api/tokens/${tokens[0]?.id}`, { method: 'PATCH', headers, body })
    expect(log.of('socks.unprotected')).toHaveLength(1)
  })

  it.each([
    [{}, '0.0.0.0', true],
    [{}, '127.0.0.1', false],
    [USER, '0.0.0.0', false],
  ])('of a client with %j on %s is warned of: %s', async (more, host, warned) => {
    const { url } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
    const { client, log } = newClient({ url, token: 'secret', socks: { host, port: 0, ...more } })
    await client.start()
    expect(log.of('socks.unprotected')).toHaveLength(warned ? 1 : 0)
  })
})
