import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { until } from '../support/wait.js'
import { echoServer, exchange, startClient, startServer, tcpServer } from './library-fixture.js'

const PINGS = { pingIntervalMs: 150, pingTimeoutMs: 600 }

/** Carries connections to `port` until `drop()`: from then on packets vanish, and nobody is told. */
async function droppingRelay(port: number): Promise<{ readonly port: number; drop(): void; heal(): void }> {
  let dropping = false
  const carry = (from: Socket, to: Socket): void => {
    from.on('data', (bytes) => dropping || to.write(bytes))
    from.on('end', () => dropping || to.end())
  }
  const listening = await tcpServer((near) => {
    if (dropping) return void near.destroy()
    const far = connect(port, '127.0.0.1').on('error', () => {})
    carry(near, far)
    carry(far, near)
  })
  return {
    port: listening,
    drop: () => {
      dropping = true
    },
    heal: () => {
      dropping = false
    },
  }
}

describe('a peer that falls silent', () => {
  it('is given up by both ends after pingTimeoutMs, and the client comes back when the path does', async () => {
    const tokens = [{ type: 'forward', token: 'secret' }] as const
    const { port, log } = await startServer({ tokens, ...PINGS })
    const relay = await droppingRelay(port)
    const { client, log: clientLog } = await startClient({
      url: `ws://127.0.0.1:${relay.port}`,
      token: 'secret',
      ...PINGS,
    })
    const echo = await echoServer()
    expect(await exchange(await client.dial('127.0.0.1', echo), 'before')).toBe('before')
    const began = performance.now()
    relay.drop()
    await until(() => log.of('link.suspended').length > 0 && clientLog.of('link.down').length > 0)
    expect(performance.now() - began).toBeGreaterThan(PINGS.pingTimeoutMs - PINGS.pingIntervalMs - 50)
    expect(log.of('link.suspended')[0]).toMatchObject({ code: 'ERR_LINK_TIMEOUT' })
    expect(clientLog.of('link.down')[0]).toMatchObject({ code: 'ERR_LINK_TIMEOUT' })
    relay.heal()
    expect(await exchange(await client.dial('127.0.0.1', echo), 'after')).toBe('after')
  })

  it('is not taken for one while it only has nothing to say', async () => {
    const { url, log } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }], ...PINGS })
    const { log: clientLog } = await startClient({ url, token: 'secret', ...PINGS })
    await new Promise((resolve) => setTimeout(resolve, 4 * PINGS.pingTimeoutMs))
    expect([log.of('link.closed'), clientLog.of('link.down')]).toEqual([[], []])
  })
})
