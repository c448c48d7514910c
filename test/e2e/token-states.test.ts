import { describe, expect, it } from 'vitest'
import { jumpingClock } from '../support/e2e/jumping-clock.js'
import { api } from '../support/e2e/modes.js'
import { type ServerProcess, sceneOfTest } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { echoTarget, errorOf, readAll } from '../support/e2e/targets.js'
import { freePort, isFree } from '../support/ports.js'
import { eventually } from '../support/wait.js'

const HOUR_MS = 3_600_000
/** Lets a server's time of day jump over the end of a token, whenever the test wants it to. */
const LATER = jumpingClock(2 * HOUR_MS)
/** An end that a server reaches by that jump alone. */
const inAnHour = (): string => new Date(Date.now() + HOUR_MS).toISOString()

async function added(server: ServerProcess, body: Readonly<Record<string, unknown>>): Promise<string> {
  const response = await api(server, 'POST', 'token', body)
  expect(response.status).toBe(200)
  return response.headers.get('location')?.split('/').at(-1) ?? ''
}

describe('a token with an end', () => {
  const scene = sceneOfTest()

  it('has its client disconnected at the time, which is told why and comes back when there is more time', async () => {
    const echo = await echoTarget(scene)
    const server = await scene.server(['-k', 'key of the tests'], { env: LATER })
    const id = await added(server, { type: 'forward', token: 'F', expires_at: inAnHour() })
    const { socksPort } = await scene.listener(server.url, ['-t', 'F'])
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
    socket.write('before')
    expect((await readBytes(socket, 6)).toString()).toBe('before')
    server.process.kill('SIGUSR2')
    await errorOf(socket)
    await server.process.event('link.rejected', { reason: 'the token has expired' })
    expect(await (await api(server, 'GET', `tokens/${id}`)).json()).toMatchObject({ state: 'expired', clients: 0 })

    expect((await api(server, 'PATCH', `tokens/${id}`, { expires_at: null })).status).toBe(200)
    const again = async () => {
      const stream = await socksConnect(scene, socksPort, ['127.0.0.1', echo]).catch(() => undefined)
      stream?.end('hello')
      return stream && ((await readAll(stream)).toString() || undefined)
    }
    expect(await eventually('stream', again)).toBe('hello')
  })

  it('ends a client that is not to connect again, closes its SOCKS5 port, and lets nobody else in', async () => {
    const server = await scene.server(['-k', 'key of the tests'], { env: LATER })
    const port = await freePort()
    await added(server, { type: 'reverse', token: 'R', port, expires_at: inAnHour() })
    const provider = await scene.provider(server.url, ['-t', 'R', '-R'])
    await server.process.event('socks.listening')
    server.process.kill('SIGUSR2')
    expect(await provider.end()).toBe(1)
    const late = scene.start(['provider', '-u', server.url, '-t', 'R'])
    expect(await late.end()).toBe(3)
    expect(late.stderr).toContain('the token has expired')
    expect(await isFree(port)).toBe(true)
  })
})

describe('a token that is disabled', () => {
  const scene = sceneOfTest()

  it('has its provider and connector out at once, and back when it is enabled', async () => {
    const echo = await echoTarget(scene)
    const server = await scene.server(['-k', 'key of the tests'])
    const port = await freePort()
    const id = await added(server, { type: 'reverse', token: 'R', port })
    await added(server, { type: 'connector', token: 'C', reverse_token: 'R' })
    await scene.provider(server.url, ['-t', 'R'])
    const { socksPort } = await scene.listener(server.url, ['-t', 'C'])
    const works = (socks: number) => async () => {
      const stream = await socksConnect(scene, socks, ['127.0.0.1', echo]).catch(() => undefined)
      stream?.end('hello')
      return stream && ((await readAll(stream).catch(() => undefined))?.toString() || undefined)
    }
    const clients = async () => ((await (await api(server, 'GET', 'clients')).json()) as { total: number }).total
    for (let turn = 0; turn < 2; turn += 1) {
      for (const socks of [port, socksPort]) expect(await eventually('stream', works(socks))).toBe('hello')
      const streams = [
        await socksConnect(scene, port, ['127.0.0.1', echo]),
        await socksConnect(scene, socksPort, ['127.0.0.1', echo]),
      ]
      const ends = Promise.all(streams.map((stream) => errorOf(stream)))
      expect((await api(server, 'PATCH', `tokens/${id}`, { enabled: false })).status).toBe(200)
      await ends
      await eventually('end of the clients', async () => ((await clients()) === 0 ? true : undefined))
      expect(await isFree(port)).toBe(true)
      const refused = () => server.process.events('link.rejected', { reason: 'the token is disabled' }).length
      await eventually('refusals', () => (refused() >= 2 * (turn + 1) ? true : undefined))
      expect((await api(server, 'PATCH', `tokens/${id}`, { enabled: true })).status).toBe(200)
    }
    expect(await eventually('stream', works(port))).toBe('hello')
  })
})
