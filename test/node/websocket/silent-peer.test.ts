import { connect, type Socket } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { Keepalive } from '../../../src/mux/keepalive.js'
import { atEnd } from '../../support/at-end.js'
import { until } from '../../support/wait.js'
import { echoServer, exchange, startClient, startServer, tcpServer } from '../library-fixture.js'
import { stoppedClock } from '../stopped-clock.js'

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
    const clock = stoppedClock()
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
    relay.drop()
    const givenUp = (): number[] => [log.of('link.suspended').length, clientLog.of('link.down').length]
    await clock.advanceAsync(PINGS.pingTimeoutMs - 1)
    expect(givenUp()).toEqual([0, 0])
    relay.heal()
    clock.advance(1)
    await until(() => !givenUp().includes(0))
    expect(log.of('link.suspended')[0]).toMatchObject({ code: 'ERR_LINK_TIMEOUT' })
    expect(clientLog.of('link.down')[0]).toMatchObject({ code: 'ERR_LINK_TIMEOUT' })
    // the first attempt comes without a delay
    await until(() => {
      clock.advance(0)
      return clientLog.of('link.up').length === 2
    })
    expect(await exchange(await client.dial('127.0.0.1', echo), 'after')).toBe('after')
  })

  it('is not taken for one while it only has nothing to say', async () => {
    const clock = stoppedClock()
    const answers: Keepalive[] = []
    const pong = vi.spyOn(Keepalive.prototype, 'pong').mockImplementation(function told(this: Keepalive) {
      answers.push(this)
    })
    atEnd(() => pong.mockRestore())
    const { url, log } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }], ...PINGS })
    const { log: clientLog } = await startClient({ url, token: 'secret', ...PINGS })
    for (let passed = 0; passed < 4 * PINGS.pingTimeoutMs; passed += PINGS.pingIntervalMs) {
      answers.length = 0
      clock.advance(PINGS.pingIntervalMs)
      await until(() => new Set(answers).size === 2)
    }
    expect([log.of('link.closed'), clientLog.of('link.down')]).toEqual([[], []])
  })
})
