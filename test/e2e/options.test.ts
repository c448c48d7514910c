import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { tokens } from '../support/e2e/modes.js'
import { type ServerProcess, sceneOfSuite, sceneOfTest, sha256 } from '../support/e2e/scene.js'
import { CONNECT, readBytes, socksConnect, socksRequest, UDP_ASSOCIATE } from '../support/e2e/socks.js'
import { echoTarget, errorOf, readAll, tcpTarget } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { httpProxy, socksProxy } from '../support/proxies.js'
import { eventually } from '../support/wait.js'

const tlsFile = (name: string): string => readFileSync(new URL(`../support/tls/${name}`, import.meta.url), 'utf8')

describe('a client', () => {
  const scene = sceneOfTest()
  const lasting = sceneOfSuite()
  let server: ServerProcess
  let echo = 0
  beforeAll(async () => {
    server = await lasting.server(['-t', 'F', '-k', 'key of the tests'])
    echo = await echoTarget(lasting)
  })

  const expectEcho = async (socksPort: number): Promise<void> => {
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
    socket.end('through')
    expect((await readAll(socket)).toString()).toBe('through')
  }
  /** Passes a port on to the server and keeps what clients sent. */
  const recorder = async (): Promise<{ url: string; seen: () => string }> => {
    let seen = ''
    const port = await tcpTarget(scene, (socket: Socket) => {
      const far = scene.connect(server.port)
      socket.on('data', (chunk) => (seen += chunk.toString('latin1')))
      socket.pipe(far).pipe(socket)
    })
    return { url: `ws://127.0.0.1:${port}`, seen: () => seen }
  }

  it('keeps as many links as --threads says, and uses them', async () => {
    const { process, socksPort } = await scene.listener(server.url, ['-t', 'F', '--threads', '4'])
    const count = async () => (await tokens(server))[0]?.clients_count
    await eventually('4 links', async () => (await count()) === 4 || undefined)
    for (let turn = 0; turn < 8; turn++) await expectEcho(socksPort)
    await process.end('SIGTERM')
    await eventually('end of the links', async () => (await count()) === 0 || undefined)
  })

  it('answers at once with --fast-open, and resets the connection if the target refuses', async () => {
    const { socksPort } = await scene.listener(server.url, ['-t', 'F', '--fast-open'])
    await expectEcho(socksPort)
    const { rep, socket } = await socksRequest(scene, socksPort, CONNECT, ['127.0.0.1', await freePort()])
    expect(rep).toBe(0)
    expect(await errorOf(socket)).toMatchObject({ code: 'ECONNRESET' })
  })

  it('loses nothing of what is sent early with --fast-open', async () => {
    const { socksPort } = await scene.listener(server.url, ['-t', 'F', '-f'])
    const early = Buffer.alloc(200_000, 'early ')
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo], { early })
    expect(sha256(await readBytes(socket, early.length))).toBe(sha256(early))
  })

  it.each(['http', 'socks5'] as const)('reaches its server through --server-proxy %s://', async (scheme) => {
    const start = scheme === 'http' ? httpProxy : socksProxy
    const proxy = await start({ targetPort: server.port, credentials: 'ann:secret' })
    scene.own(() => proxy.close())
    const flags = ['-t', 'F', '--server-proxy', `${scheme}://ann:secret@127.0.0.1:${proxy.port}`]
    const { socksPort } = await scene.listener('ws://relay.test:8765', flags)
    await expectEcho(socksPort)
    expect(proxy.requests.length).toBe(1)
    expect(proxy.requests[0]).toContain('relay.test:8765')
  })

  it('takes its proxy from the environment, but none for a server on loopback', async () => {
    const proxy = await httpProxy({ targetPort: server.port })
    scene.own(() => proxy.close())
    const env = { http_proxy: `http://127.0.0.1:${proxy.port}` }
    const [near, far] = await Promise.all([
      scene.listener(server.url, ['-t', 'F'], { env }),
      scene.listener('ws://relay.test', ['-t', 'F'], { env }),
    ])
    for (const { socksPort } of [near, far]) await expectEcho(socksPort)
    expect(proxy.requests).toEqual([expect.stringMatching(/^CONNECT relay\.test:80 /)])
  })

  it('shows the hash of its token in the URL, and no trace of it with --auth-in-band', async () => {
    const [plain, inBand] = [await recorder(), await recorder()]
    const [, { socksPort }] = await Promise.all([
      scene.listener(plain.url, ['-t', 'F']),
      scene.listener(inBand.url, ['-t', 'F', '--auth-in-band']),
    ])
    expect(plain.seen()).toContain(`token=${sha256('F')}`)
    await expectEcho(socksPort)
    expect(inBand.seen()).toMatch(/^GET \/socket(\?ext=1)? HTTP/)
    expect(inBand.seen()).not.toContain(sha256('F'))
  })

  it('sends the --header lines it is given', async () => {
    const { url, seen } = await recorder()
    await scene.listener(url, ['-t', 'F', '--header', 'X-One: 1', '--header', 'X-Two: b c'])
    expect(seen()).toMatch(/\r\nX-One: 1\r\n/i)
    expect(seen()).toMatch(/\r\nX-Two: b c\r\n/i)
  })

  it('opens its SOCKS5 port before its server is there with --socks-nowait', async () => {
    const port = await freePort()
    const flags = ['-t', 'F', '--socks-nowait', '--no-env-proxy']
    const { socksPort } = await scene.listener(`ws://127.0.0.1:${port}`, flags)
    const request = socksRequest(scene, socksPort, CONNECT, ['127.0.0.1', echo])
    // a way to the server that is there: starting one would take a part of the time that the request waits
    await tcpTarget(scene, (socket) => socket.pipe(scene.connect(server.port)).pipe(socket), '127.0.0.1', port)
    expect((await request).rep).toBe(0)
  })

  it('trusts the authority of --ca-file, and nobody otherwise', async () => {
    const tls = createTlsServer({ key: tlsFile('server.key'), cert: tlsFile('server.pem') }, (socket) => {
      const far = connect(server.port, '127.0.0.1')
      socket.on('error', () => far.destroy()).on('close', () => far.destroy())
      far.on('error', () => socket.destroy()).on('close', () => socket.destroy())
      socket.pipe(far).pipe(socket)
    })
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve))
    scene.own(() => tls.close())
    const { port } = tls.address() as { port: number }
    const url = `wss://localhost:${port}`
    const strict = scene.start(['client', '-u', url, '-t', 'F', '-p', '0', '-R'])
    const [trusting, careless] = await Promise.all([
      scene.listener(url, ['-t', 'F', '--ca-file', scene.file(tlsFile('ca.pem'))]),
      scene.listener(url, ['-t', 'F', '--insecure']),
    ])
    await expectEcho(trusting.socksPort)
    await careless.process.event('tls.unchecked')
    expect(await strict.end()).toBe(1)
    expect(strict.stderr).toContain('certificate')
  })
})

describe('an exit', () => {
  const scene = sceneOfTest()

  it('refuses addresses that lead nowhere good with REP 02', async () => {
    const server = await scene.server(['-t', 'F'])
    const { socksPort } = await scene.listener(server.url, ['-t', 'F'])
    for (const host of ['169.254.169.254', '0.0.0.0', '224.0.0.1', '255.255.255.255']) {
      expect([host, (await socksRequest(scene, socksPort, CONNECT, [host, 80])).rep]).toEqual([host, 2])
    }
  })

  it('dials through --upstream-proxy, and sends no datagrams past it', async () => {
    const proxy = await httpProxy({ targetPort: await echoTarget(scene), credentials: 'ann:secret' })
    scene.own(() => proxy.close())
    const env = { LINKSOCKS_UPSTREAM_PROXY: `http://ann:secret@127.0.0.1:${proxy.port}` }
    const server = await scene.server(['-t', 'F'], { env })
    const { socksPort } = await scene.listener(server.url, ['-t', 'F'])
    const socket = await socksConnect(scene, socksPort, ['elsewhere.test', 7])
    socket.write('through')
    expect((await readBytes(socket, 7)).toString()).toBe('through')
    expect(proxy.requests[0]).toMatch(/^CONNECT elsewhere\.test:7 /)
    expect((await socksRequest(scene, socksPort, UDP_ASSOCIATE, ['0.0.0.0', 0])).rep).toBe(7)
  })
})
