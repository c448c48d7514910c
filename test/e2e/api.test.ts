import { EventEmitter, once } from 'node:events'
import { beforeAll, describe, expect, it } from 'vitest'
import { api, type TokenState, tokens } from '../support/e2e/modes.js'
import { type Scene, type ServerProcess, sceneOfSuite, sceneOfTest } from '../support/e2e/scene.js'
import { CONNECT, readBytes, socksConnect, socksRequest } from '../support/e2e/socks.js'
import { echoTarget, errorOf, tcpTarget } from '../support/e2e/targets.js'
import { freePort, isFree } from '../support/ports.js'
import { eventually, untilStill } from '../support/wait.js'

/** Nothing but the API's word ends what the test waits for: by itself it would be there for longer than the test. */
const PATIENT = ['--resume-timeout', '1h', '--ping-timeout', '1h']

/** Adds a token by the API. */
async function addToken(server: ServerProcess, body: Readonly<Record<string, unknown>>) {
  const response = await api(server, 'POST', 'token', body)
  expect(response.status).toBe(200)
  return (await response.json()) as { success: true; token: string; port?: number }
}

async function statusOf(server: ServerProcess, token: string): Promise<TokenState | undefined> {
  return (await tokens(server)).find((state) => state.token === token)
}

/** A stream that has carried something. */
async function openStream(scene: Scene, socksPort: number, port: number) {
  const socket = await socksConnect(scene, socksPort, ['127.0.0.1', port])
  socket.write('ping')
  await readBytes(socket, 4)
  return socket
}

describe('a token that is removed by the API', () => {
  const scene = sceneOfTest()

  it('ends the links, streams and SOCKS5 port that hang on it, at once', async () => {
    const echo = await echoTarget(scene)
    const server = await scene.server(['-k', 'key of the tests', ...PATIENT])
    const port = await freePort()
    await addToken(server, { type: 'reverse', token: 'R', port })
    await addToken(server, { type: 'connector', token: 'C', reverse_token: 'R' })
    const [provider, connector] = await Promise.all([
      scene.provider(server.url, ['-t', 'R', '-R', ...PATIENT]),
      scene.listener(server.url, ['-t', 'C', '-R', ...PATIENT]),
    ])
    await server.process.event('socks.listening')
    const streams = [await openStream(scene, port, echo), await openStream(scene, connector.socksPort, echo)]
    expect(await tokens(server)).toEqual([
      {
        ...{ token: 'R', type: 'reverse', clients_count: 1, port, connector_tokens: ['C'], listening: true },
        proxy_protocols: ['socks5', 'socks4', 'http'],
      },
    ])

    const errors = streams.map((socket) => errorOf(socket))
    expect((await api(server, 'DELETE', 'token/R')).status).toBe(200)
    expect(await isFree(port)).toBe(true)
    expect(await Promise.all(errors)).toMatchObject([{ code: 'ECONNRESET' }, { code: 'ECONNRESET' }])
    expect(await tokens(server)).toEqual([])
    // both were told to end with their link
    expect([await provider.end(), await connector.process.end()]).toEqual([1, 1])
  })

  it('can be added again with the same port, and serves its providers again', async () => {
    const echo = await echoTarget(scene)
    const server = await scene.server(['-k', 'key of the tests'])
    const port = await freePort()
    for (let turn = 0; turn < 2; turn++) {
      await addToken(server, { type: 'reverse', token: 'R', port })
      const provider = await scene.provider(server.url, ['-t', 'R', '-R'])
      const listening = async () => (await statusOf(server, 'R'))?.listening || undefined
      await eventually('open port', listening)
      const socket = await openStream(scene, port, echo)
      socket.destroy()
      await api(server, 'DELETE', 'token', { token: 'R' })
      await provider.end()
    }
  })
})

describe('the API', () => {
  const scene = sceneOfSuite()
  let server: ServerProcess
  let range = 0
  beforeAll(async () => {
    range = await freePort(3)
    server = await scene.server(['-k', 'key of the tests', '--port-range', `${range}-${range + 2}`])
  })

  it('gives reverse tokens the lowest free ports of the range, and says when there is none left', async () => {
    for (const [index, token] of ['R0', 'R1', 'R2'].entries()) {
      expect(await addToken(server, { type: 'reverse', token })).toEqual({ success: true, token, port: range + index })
    }
    const full = await api(server, 'POST', 'token', { type: 'reverse' })
    expect([full.status, await full.json()]).toEqual([409, { success: false, error: 'port not available' }])
    await api(server, 'DELETE', 'token/R1')
    expect(await addToken(server, { type: 'reverse' })).toMatchObject({ port: range + 1 })
  })

  it('never replaces a port that was asked for', async () => {
    const taken = await echoTarget(scene)
    const response = await api(server, 'POST', 'token', { type: 'reverse', port: taken })
    expect(response.status).toBe(409)
  })

  it('counts the links of each token, as they come and go', async () => {
    const { token } = await addToken(server, { type: 'forward' })
    expect(token).toMatch(/^[0-9A-Za-z]{32}$/)
    const idle = await addToken(server, { type: 'forward' })
    const client = await scene.listener(server.url, ['-t', token])
    expect(await statusOf(server, token)).toEqual({ token, type: 'forward', clients_count: 1 })
    expect(await statusOf(server, idle.token)).toMatchObject({ clients_count: 0 })
    await client.process.end('SIGKILL')
    await eventually('count of 0', async () => (await statusOf(server, token))?.clients_count === 0 || undefined)
  })

  it('refuses what carries no key before it reads on', async () => {
    const url = `http://127.0.0.1:${server.port}/api/status`
    const refusal = { success: false, error: 'invalid API key' }
    for (const headers of [{}, { 'X-API-Key': 'another' }]) {
      const response = await fetch(url, { headers })
      expect([response.status, await response.json()]).toEqual([401, refusal])
    }
  })

  it('answers failures with a fitting status', async () => {
    const calls: readonly [string, string, unknown, number][] = [
      ['POST', 'token', { type: 'nothing' }, 400],
      ['POST', 'token', { type: 'forward', token: 'anonymous' }, 400],
      ['POST', 'token', { type: 'connector', reverse_token: 'nobody' }, 404],
      ['DELETE', 'token/nobody', undefined, 404],
      ['PUT', 'token', {}, 405],
      ['POST', 'token', { type: 'forward', token: 'x'.repeat(270_000) }, 413],
      ['DELETE', 'token', { token: 'x'.repeat(70_000) }, 413],
      ['GET', 'nothing', undefined, 404],
    ]
    for (const [method, path, body, status] of calls) {
      const response = await api(server, method, path, body)
      expect([method, path, response.status]).toEqual([method, path, status])
      expect(await response.json()).toMatchObject({ success: false, error: expect.any(String) })
    }
  })

  it('says what runs here at /', async () => {
    const text = await (await fetch(`http://127.0.0.1:${server.port}/`)).text()
    expect(text.trim()).toMatch(/^LinkSocks \d+\.\d+\.\d+ is running\. API endpoints available at \/api\/\*$/)
  })
})

describe('a reverse token', () => {
  const scene = sceneOfTest()

  /** A way to a port that lets nothing through until it is opened: a provider behind it has started, and is not linked. */
  const gateTo = async (port: number) => {
    const signals = new EventEmitter()
    const [reached, opened] = [once(signals, 'reached'), once(signals, 'open')]
    const gate = await tcpTarget(scene, (socket) => {
      signals.emit('reached')
      void opened.then(() => socket.pipe(scene.connect(port)).pipe(socket))
    })
    return { url: `ws://127.0.0.1:${gate}`, reached, open: () => signals.emit('open') }
  }

  it('has a closed port until its first provider comes', async () => {
    const echo = await echoTarget(scene)
    const port = await freePort()
    const server = await scene.server(['-r', '-t', 'R', '-p', `${port}`])
    expect(await isFree(port)).toBe(true)
    await scene.provider(server.url, ['-t', 'R'])
    await server.process.event('socks.listening')
    expect((await socksRequest(scene, port, CONNECT, ['127.0.0.1', echo])).rep).toBe(0)
  })

  it.each(['--socks-nowait', '--socks-no-wait', '-i'])('has an open port at once with %s', async (flag) => {
    const echo = await echoTarget(scene)
    const port = await freePort()
    const server = await scene.server(['-r', '-t', 'R', '-p', `${port}`, flag])
    const gate = await gateTo(server.port)
    const linked = scene.provider(gate.url, ['-t', 'R'])
    await gate.reached
    await once(scene.connect(port), 'connect')
    let answered = false
    const early = socksRequest(scene, port, CONNECT, ['127.0.0.1', echo]).finally(() => {
      answered = true
    })
    // a refusal would come without the provider
    await untilStill(() => Number(answered))
    expect(answered).toBe(false)
    gate.open()
    await linked
    expect((await early).rep).toBe(0)
  })
})
