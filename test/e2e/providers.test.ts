import { beforeEach, describe, expect, it } from 'vitest'
import { serverArgs } from '../support/e2e/modes.js'
import { type Scene, sceneOfTest } from '../support/e2e/scene.js'
import { CONNECT, readBytes, socksConnect, socksRequest } from '../support/e2e/socks.js'
import { echoTarget, errorOf } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { socksProxy, type TestProxy } from '../support/proxies.js'
import { untilStill } from '../support/wait.js'

/** A provider whose way out is a proxy of its own, which shows what it dialled. */
async function distinctProvider(scene: Scene, url: string, targetPort: number, args: readonly string[]) {
  const proxy: TestProxy = await socksProxy({ targetPort })
  scene.own(() => proxy.close())
  const provider = await scene.provider(url, [...args, '-x', `socks5://127.0.0.1:${proxy.port}`])
  return { process: provider, dialled: proxy.requests }
}

/** Sends something through the tunnel and back. */
async function exchange(scene: Scene, socksPort: number, name: string): Promise<string> {
  const socket = await socksConnect(scene, socksPort, [name, 7])
  const text = `hello ${name}`
  socket.write(text)
  const answer = await readBytes(socket, text.length)
  socket.destroy()
  return answer.toString()
}

describe('providers of one token', () => {
  const scene = sceneOfTest()
  let echo = 0
  let socksPort = 0
  beforeEach(async () => {
    echo = await echoTarget(scene)
    socksPort = await freePort()
  })

  it('take turns, and one that is killed is left out', async () => {
    const { process, url } = await scene.server(serverArgs('agent', socksPort))
    const [first, second, connector] = await Promise.all([
      distinctProvider(scene, url, echo, ['-t', 'P']),
      distinctProvider(scene, url, echo, ['-t', 'P']),
      scene.listener(url, ['-t', 'C']),
    ])
    await process.event('socks.listening')
    const count = (): readonly number[] => [first.dialled.length, second.dialled.length]

    for (let turn = 0; turn < 4; turn++) await exchange(scene, connector.socksPort, `connector-${turn}.test`)
    expect(count()).toEqual([2, 2])
    for (let turn = 0; turn < 4; turn++) await exchange(scene, socksPort, `server-${turn}.test`)
    expect(count()).toEqual([4, 4])

    first.process.kill('SIGKILL')
    await process.event('link.suspended', { role: 'provider' })
    for (const port of [connector.socksPort, socksPort, connector.socksPort, socksPort]) {
      expect(await exchange(scene, port, 'after.test')).toBe('hello after.test')
    }
    expect(count()).toEqual([4, 8])
  })

  it('end the streams of the one that is killed at once with --no-resume', async () => {
    // without the flag they would wait for longer than the test
    const { process, url } = await scene.server([...serverArgs('agent', socksPort), '--resume-timeout', '1h'])
    const [provider, connector] = await Promise.all([
      scene.provider(url, ['-t', 'P', '--no-resume']),
      scene.listener(url, ['-t', 'C']),
    ])
    await process.event('socks.listening')
    const streams = [
      await socksConnect(scene, connector.socksPort, ['127.0.0.1', echo]),
      await socksConnect(scene, socksPort, ['127.0.0.1', echo]),
    ]
    const errors = streams.map((socket) => errorOf(socket))
    provider.kill('SIGKILL')
    for (const error of errors) expect(await error).toMatchObject({ code: 'ECONNRESET' })
  })

  it('end the streams of the one that is killed after --resume-timeout', async () => {
    const { process, url } = await scene.server([...serverArgs('agent', socksPort), '--resume-timeout', '1s'])
    const provider = await scene.provider(url, ['-t', 'P'])
    await process.event('socks.listening')
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
    const error = errorOf(socket)
    provider.kill('SIGKILL')
    await process.event('link.suspended', { role: 'provider' })
    expect(await error).toMatchObject({ code: 'ECONNRESET' })
  })

  it('are waited for by a request that comes before the first of them', async () => {
    const wait = ['--connector-wait-provider', '1h']
    const { url } = await scene.server([...serverArgs('agent', socksPort), ...wait])
    const connector = await scene.listener(url, ['-t', 'C'])
    let answered = false
    const request = socksRequest(scene, connector.socksPort, CONNECT, ['127.0.0.1', echo]).finally(() => {
      answered = true
    })
    // a refusal would come without the provider
    await untilStill(() => Number(answered))
    expect(answered).toBe(false)
    await scene.provider(url, ['-t', 'P'])
    expect((await request).rep).toBe(0)
  })

  it('are not waited for longer than --connector-wait-provider', async () => {
    const { url } = await scene.server([...serverArgs('agent', socksPort), '--connector-wait-provider', '200ms'])
    const connector = await scene.listener(url, ['-t', 'C'])
    expect((await socksRequest(scene, connector.socksPort, CONNECT, ['127.0.0.1', echo])).rep).toBe(3)
  })
})

describe('autonomy providers', () => {
  const scene = sceneOfTest()

  it('serve no connector but their own, even when one of them is gone', async () => {
    const echo = await echoTarget(scene)
    const { process, url } = await scene.server([...serverArgs('autonomy', 0), '--connector-wait-provider', '200ms'])
    const [ann, bob] = await Promise.all([
      distinctProvider(scene, url, echo, ['-t', 'P', '-c', 'for Ann']),
      distinctProvider(scene, url, echo, ['-t', 'P', '-c', 'for Bob']),
    ])
    for (const provider of [ann, bob]) await provider.process.event('connector.registered')
    const [toAnn, toBob] = await Promise.all([
      scene.listener(url, ['-t', 'for Ann']),
      scene.listener(url, ['-t', 'for Bob']),
    ])

    for (let turn = 0; turn < 3; turn++) {
      await exchange(scene, toAnn.socksPort, 'ann.test')
      await exchange(scene, toBob.socksPort, 'bob.test')
    }
    expect(ann.dialled).toEqual(new Array(3).fill('ann.test:7'))
    expect(bob.dialled).toEqual(new Array(3).fill('bob.test:7'))

    ann.process.kill('SIGKILL')
    await process.event('link.suspended', { role: 'provider' })
    expect((await socksRequest(scene, toAnn.socksPort, CONNECT, ['ann.test', 7])).rep).toBe(3)
    expect(await exchange(scene, toBob.socksPort, 'bob.test')).toBe('hello bob.test')
    expect(bob.dialled).toEqual(new Array(4).fill('bob.test:7'))
  })

  it('cannot take the connector token of another', async () => {
    const { url } = await scene.server(serverArgs('autonomy', 0))
    const first = await scene.provider(url, ['-t', 'P', '-c', 'C'])
    await first.event('connector.registered')
    const second = await scene.provider(url, ['-t', 'P', '-c', 'C'])
    const refusal = await second.event('connector.refused')
    expect(refusal.reason).toContain('already exists')
  })
})
