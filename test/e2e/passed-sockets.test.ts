import { once } from 'node:events'
import { openSync } from 'node:fs'
import { request } from 'node:http'
import { request as requestTls } from 'node:https'
import { describe, expect, it } from 'vitest'
import {
  connectedSocket,
  type Passable,
  passing,
  tcpSocket,
  udpSocket,
  unixSocket,
} from '../support/e2e/passed-sockets.js'
import { sceneOfTest } from '../support/e2e/scene.js'
import { socksConnect } from '../support/e2e/socks.js'
import { echoTarget, readAll } from '../support/e2e/targets.js'

const JSON_LOG = ['--log-format', 'json']
const CERTIFICATE = ['--tls-cert', 'test/support/tls/server.pem', '--tls-key', 'test/support/tls/server.key']

const scene = sceneOfTest()

/** A process that was passed `sockets`. */
function start(args: readonly string[], sockets: readonly Passable[], env: Readonly<Record<string, string>> = {}) {
  return passing(sockets, (passed) => scene.start([...args, ...JSON_LOG], { env, passed }))
}

/** Status of an answer. */
async function statusOf(asked: ReturnType<typeof request>): Promise<number | undefined> {
  asked.end()
  const [response] = await once(asked, 'response')
  response.resume()
  await once(response, 'end')
  return response.statusCode
}

const plain = (port: number, path = '/') => statusOf(request({ host: '127.0.0.1', port, path, agent: false }))
const secure = (port: number) =>
  statusOf(requestTls({ host: '127.0.0.1', port, agent: false, rejectUnauthorized: false }))

describe('a server that is passed sockets', () => {
  it('serves HTTP and WebSockets on them, at once for those who came before it', async () => {
    const socket = await tcpSocket()
    const server = await start(['server', '-t', 'F'], [socket])
    // it waits in the queue
    expect(await plain(socket.port)).toBe(200)
    const echo = await echoTarget(scene)
    const { socksPort } = await scene.listener(`ws://127.0.0.1:${socket.port}`, ['-t', 'F'])
    const stream = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
    stream.end('through it')
    expect((await readAll(stream)).toString()).toBe('through it')
    expect(await server.event('server.ready')).toMatchObject({ listen: `ws://127.0.0.1:${socket.port}` })
    expect(await server.end('SIGTERM')).toBe(0)
  })

  it('speaks TLS on one named tls, and on one without a name where it has certificates', async () => {
    const sockets = [await tcpSocket(), await tcpSocket(), await tcpSocket()] as const
    await start(['server', '-t', 'F', ...CERTIFICATE], sockets, { LISTEN_FDNAMES: 'tls:relay.socket:http' })
    expect(await secure(sockets[0].port)).toBe(200)
    expect(await secure(sockets[1].port)).toBe(200)
    expect(await plain(sockets[2].port)).toBe(200)
  })

  it('serves a Unix domain socket', async () => {
    const socket = await unixSocket()
    const server = await start(['server', '-t', 'F'], [socket])
    expect(await statusOf(request({ socketPath: socket.path, path: '/', agent: false }))).toBe(200)
    expect(await server.event('server.ready')).toMatchObject({ listen: 'ws+fd:3' })
  })

  it('serves metrics on theirs, and says which flags it ignores', async () => {
    const sockets = [await tcpSocket(), await tcpSocket()] as const
    const args = ['server', '-t', 'F', '-P', '1', '--metrics-listen', '127.0.0.1:1']
    const server = await start(args, sockets, { LISTEN_FDNAMES: 'metrics:http' })
    expect(await plain(sockets[0].port, '/metrics')).toBe(200)
    expect(await plain(sockets[1].port)).toBe(200)
    for (const option of ['--ws-port', '--metrics-listen'])
      await server.event('option.ignored', { option, level: 'info' })
  })

  it('opens the port of a reverse token on its socket, with the first provider', async () => {
    const sockets = [await tcpSocket(), await tcpSocket()] as const
    const [main, socks] = sockets
    const echo = await echoTarget(scene)
    const args = ['server', '-r', '-t', 'P', '-c', 'C', '-p', `${socks.port}`]
    const server = await start(args, sockets, { LISTEN_FDNAMES: 'http:socks' })
    // before anything is there to answer
    const early = socksConnect(scene, socks.port, ['127.0.0.1', echo])
    await server.event('server.ready')
    expect(server.events('socks.listening')).toEqual([])
    await scene.provider(`ws://127.0.0.1:${main.port}`, ['-t', 'P'])
    const stream = await early
    stream.end('from the queue')
    expect((await readAll(stream)).toString()).toBe('from the queue')
  })

  it('leaves the sockets open for the next one, which answers what came between them', async () => {
    const socket = await tcpSocket()
    const [first, second] = await passing([socket], ([fd = 0]) => [
      scene.start(['server', '-t', 'F', ...JSON_LOG], { passed: [fd] }),
      scene.start(['server', '-t', 'F', ...JSON_LOG], { passed: [fd], waits: true }),
    ])
    await first.event('server.ready')
    expect(await plain(socket.port)).toBe(200)
    expect(await first.end('SIGTERM')).toBe(0)
    const between = plain(socket.port)
    second.go()
    expect(await between).toBe(200)
    expect(await second.event('server.ready')).toMatchObject({ listen: `ws://127.0.0.1:${socket.port}` })
  })

  it('takes sockets by --listen as well', async () => {
    const socket = await tcpSocket()
    const listen = ['--listen', 'ws+fd:3', '--listen', 'ws://127.0.0.1:0']
    const server = await start(['server', '-t', 'F', ...listen], [socket], { LISTEN_PID: '1' })
    expect(await plain(socket.port)).toBe(200)
    await server.event('sockets.ignored', { listenPid: 1, pid: server.pid })
  })
})

describe('a server that is passed what it cannot use', () => {
  const file = (): Passable => ({ fd: openSync('package.json', 'r'), port: 0, close: () => {} })
  const refused: readonly (readonly [string, () => Promise<Passable> | Passable, string])[] = [
    ['a plain file', file, 'descriptor 3 is not a socket'],
    ['a UDP socket', udpSocket, 'descriptor 3 is a UDP socket: a listening TCP or Unix stream socket is needed'],
    ['a connection', connectedSocket, 'descriptor 3 is a connection and not a listening socket: in a unit of systemd'],
  ]

  it.each(refused)('ends with code 1 and says so: %s', async (_what, open, message) => {
    const process = await start(['server', '-t', 'F'], [await open()])
    expect(await process.end()).toBe(1)
    expect(process.events('cli.failed')[0]?.error).toContain(`LISTEN_FDS: ${message}`)
  })

  it('ends with code 1 where LISTEN_FDS says more than was passed', async () => {
    const process = await start(['server', '-t', 'F'], [await tcpSocket()], { LISTEN_FDS: '3' })
    expect(await process.end()).toBe(1)
    expect(process.events('cli.failed')[0]?.error).toMatch(/^LISTEN_FDS: descriptor \d+ is not (open|a socket)/)
  })

  it('ends with code 2 where the variables are wrong', async () => {
    const process = await start(['server', '-t', 'F'], [await tcpSocket()], { LISTEN_FDS: '1000' })
    expect(await process.end()).toBe(2)
    expect(process.events('cli.failed')[0]?.error).toBe('LISTEN_FDS: must be the number of sockets, 1 to 192')
  })

  it('names --listen where that names the descriptor', async () => {
    const process = scene.start(['server', '-t', 'F', '--listen', 'ws+fd:77', ...JSON_LOG])
    expect(await process.end()).toBe(1)
    expect(process.events('cli.failed')[0]?.error).toBe(
      '--listen: descriptor 77 is not open: no socket was passed by this number',
    )
  })
})

describe('a client that is passed a socket', () => {
  it('opens its proxy port on it with the first link, for those who came before', async () => {
    const socket = await tcpSocket()
    const echo = await echoTarget(scene)
    const server = await scene.server(['-t', 'F'])
    const args = ['client', '-u', server.url, '-t', 'F', '-p', '1']
    const client = await start(args, [socket], { LISTEN_FDNAMES: 'socks' })
    const early = socksConnect(scene, socket.port, ['127.0.0.1', echo])
    const stream = await early
    stream.end('through it')
    expect((await readAll(stream)).toString()).toBe('through it')
    expect(await client.event('socks.listening')).toMatchObject({ host: '127.0.0.1', port: socket.port })
    await client.event('option.ignored', { option: '--socks-port' })
    expect(await client.end('SIGTERM')).toBe(0)
  })

  it('refuses one that is for servers, and a provider any', async () => {
    const client = await start(['client', '-t', 'F'], [await tcpSocket()], { LISTEN_FDNAMES: 'http' })
    expect(await client.end()).toBe(2)
    expect(client.events('cli.failed')[0]?.error).toContain('LISTEN_FDNAMES: http is for servers')
    const provider = await start(['provider', '-t', 'P'], [await tcpSocket()])
    expect(await provider.end()).toBe(2)
    expect(provider.events('cli.failed')[0]?.error).toContain('LISTEN_FDS: a provider has no proxy port')
  })

  it('ends with code 1 where it cannot be used', async () => {
    const client = await start(['client', '-t', 'F'], [await unixSocket()])
    expect(await client.end()).toBe(1)
    expect(client.events('cli.failed')[0]?.error).toContain('LISTEN_FDS: descriptor 3 is a Unix socket')
  })
})
