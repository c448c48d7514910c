import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { beforeAll, describe, expect, it } from 'vitest'
import { api } from '../support/e2e/modes.js'
import { REBINDING, REBINDING_NAME } from '../support/e2e/rebinding-name.js'
import { type Scene, sceneOfSuite, sceneOfTest } from '../support/e2e/scene.js'
import { CONNECT, SocksUdp, socksAddress, socksConnect, socksRequest } from '../support/e2e/socks.js'
import { echoTarget, readAll, tcpTarget, udpEcho } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'

const ENV = { env: REBINDING }
const NOT_ALLOWED = 2

/** What is allowed, and beside it what is not. */
interface Targets {
  readonly tcp: number
  readonly udp: number
  readonly closedTcp: number
  readonly closedUdp: number
  /** Connections and datagrams that reached what is not allowed, or 127.0.0.2. */
  readonly reached: string[]
}

async function openTargets(scene: Scene): Promise<Targets> {
  const reached: string[] = []
  const tcp = await echoTarget(scene)
  await tcpTarget(scene, () => void reached.push('127.0.0.2'), '127.0.0.2', tcp)
  const closedTcp = await tcpTarget(scene, () => void reached.push('tcp'))
  const closed = createSocket('udp4').on('message', () => reached.push('udp'))
  await once(closed.bind(0, '127.0.0.1'), 'listening')
  scene.own(() => closed.close())
  return { tcp, closedTcp, udp: await udpEcho(scene, '127.0.0.1'), closedUdp: closed.address().port, reached }
}

describe('access rules', () => {
  const scene = sceneOfTest()
  const lasting = sceneOfSuite()
  let targets: Targets
  let rules: readonly string[] = []
  let bodies: readonly object[] = []
  beforeAll(async () => {
    targets = await openTargets(lasting)
    const { tcp, udp } = targets
    rules = ['--access-rule', `127.0.0.1:${tcp}`, '--access-rule', `127.0.0.1:${udp}`]
    bodies = [{ addrs: ['127.0.0.1'], ports: [tcp, [udp, udp]] }]
  })

  /** Through a real SOCKS5 client: what is allowed gets through, nothing else does, and no name gets round the rules. */
  const expectLimited = async (socksPort: number): Promise<void> => {
    const { tcp, udp, closedTcp, closedUdp, reached } = targets
    const request = async (host: string, port: number): Promise<number> =>
      (await socksRequest(scene, socksPort, CONNECT, [host, port])).rep
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', tcp])
    socket.end('through')
    expect((await readAll(socket)).toString()).toBe('through')
    expect(await request('127.0.0.1', closedTcp)).toBe(NOT_ALLOWED)
    expect(await request('127.0.0.2', tcp)).toBe(NOT_ALLOWED)
    const first = await socksConnect(scene, socksPort, [REBINDING_NAME, tcp])
    first.end('by name')
    expect((await readAll(first)).toString()).toBe('by name')
    expect(await request(REBINDING_NAME, tcp)).toBe(NOT_ALLOWED)
    const association = await SocksUdp.open(scene, socksPort)
    for (const host of ['127.0.0.1', REBINDING_NAME]) {
      association.send(Buffer.concat([Buffer.of(0, 0, 0), socksAddress(host, closedUdp), Buffer.from('no')]))
    }
    for (const text of ['one', 'two']) {
      expect((await association.exchange(['127.0.0.1', udp], Buffer.from(text))).toString()).toBe(text)
    }
    expect(reached).toEqual([])
  }

  it('of a client limit its own port', async () => {
    const server = await scene.server(['-t', 'F'])
    const { socksPort } = await scene.listener(server.url, ['-t', 'F', ...rules], ENV)
    await expectLimited(socksPort)
  })

  it('of a forward server limit what it dials', async () => {
    const server = await scene.server(['-t', 'F', ...rules], ENV)
    const { socksPort } = await scene.listener(server.url, ['-t', 'F'])
    await expectLimited(socksPort)
  })

  it('of a reverse server limit its port, and not its connectors', async () => {
    const port = await freePort()
    const server = await scene.server(['-r', '-t', 'P', '-c', 'C', '-p', `${port}`, ...rules], ENV)
    await scene.provider(server.url, ['-t', 'P'])
    await server.process.event('socks.listening')
    await expectLimited(port)
    const { socksPort } = await scene.listener(server.url, ['-t', 'C'])
    const free = await echoTarget(scene)
    await socksConnect(scene, socksPort, ['127.0.0.1', free])
  })

  const provider = async (url: string, args: readonly string[]): Promise<void> => {
    const started = scene.start(['provider', '-u', url, '--log-format', 'json', ...args, ...rules], ENV)
    await started.event('link.up')
    if (args.includes('-c')) await started.event('connector.registered')
  }

  it('of a provider limit what it dials, in agent mode', async () => {
    const server = await scene.server(['-r', '-t', 'P', '-c', 'C', '-p', `${await freePort()}`])
    await provider(server.url, ['-t', 'P'])
    const { socksPort } = await scene.listener(server.url, ['-t', 'C'])
    await expectLimited(socksPort)
  })

  it('of a provider limit what it dials, in autonomy mode', async () => {
    const server = await scene.server(['-r', '-a', '-t', 'P'])
    await provider(server.url, ['-t', 'P', '-c', 'C'])
    const { socksPort } = await scene.listener(server.url, ['-t', 'C'])
    await expectLimited(socksPort)
  })

  it.each(['forward', 'reverse', 'connector'])(
    'of a %s token limit it, and are there again after a restart',
    async (type) => {
      const args = ['-k', 'key of the tests', '--data-dir', `${scene.file('')}.d`]
      let server = await scene.server(args, ENV)
      const port = await freePort()
      const add = async (body: object): Promise<void> => {
        expect((await api(server, 'POST', 'token', body)).status).toBe(200)
      }
      if (type === 'connector') await add({ type: 'reverse', token: 'P', port })
      await add({ type, token: 'T', rules: bodies, ...(type === 'reverse' && { port }), reverse_token: 'P' })
      await server.process.end('SIGTERM')
      server = await scene.server(args, ENV)
      if (type !== 'forward') await scene.provider(server.url, ['-t', type === 'reverse' ? 'T' : 'P'])
      if (type === 'reverse') {
        await server.process.event('socks.listening')
        return await expectLimited(port)
      }
      const { socksPort } = await scene.listener(server.url, ['-t', 'T'])
      await expectLimited(socksPort)
    },
  )

  it('of the server hold from the next connection on, and are there again after a restart', async () => {
    const args = ['-k', 'key of the tests', '-t', 'F', '--data-dir', `${scene.file('')}.d`]
    let server = await scene.server(args, ENV)
    const { socksPort } = await scene.listener(server.url, ['-t', 'F'])
    const held = await socksConnect(scene, socksPort, ['127.0.0.1', targets.tcp])
    expect((await api(server, 'PUT', 'config/access', { dial: bodies })).status).toBe(200)
    held.end('goes on')
    expect((await readAll(held)).toString()).toBe('goes on')
    expect((await socksRequest(scene, socksPort, CONNECT, ['127.0.0.1', targets.closedTcp])).rep).toBe(NOT_ALLOWED)
    await server.process.end('SIGTERM')
    server = await scene.server(args, ENV)
    const later = await scene.listener(server.url, ['-t', 'F'])
    await expectLimited(later.socksPort)
    expect((await api(server, 'PUT', 'config/access', { dial: [] })).status).toBe(200)
    await socksConnect(scene, later.socksPort, ['127.0.0.1', await echoTarget(scene)])
  })
})
