import { randomFillSync } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { MODES, startTunnel } from '../support/e2e/modes.js'
import { sceneOfSuite, sha256 } from '../support/e2e/scene.js'
import { CONNECT, SocksUdp, socksConnect, socksRequest } from '../support/e2e/socks.js'
import { download, echoTarget, HAS_IPV6, httpOrigin, readAll, udpEcho, upload } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'

const credentials = ['ann', 'open sesame'] as const
const content = randomFillSync(Buffer.alloc(48 * 1024 * 1024))
const digest = sha256(content)

describe.each(MODES)('%s mode', (mode) => {
  const scene = sceneOfSuite()
  let socksPort = 0
  let originPort = 0
  beforeAll(async () => {
    const [username, password] = credentials
    const tunnel = await startTunnel(scene, mode, { listenerArgs: ['-n', username, '-w', password] })
    socksPort = tunnel.socksPort
    originPort = await httpOrigin(scene, content)
  })

  const open = (host: string, port: number) => socksConnect(scene, socksPort, [host, port], { credentials })
  const repOf = async (host: string, port: number): Promise<number> => {
    const { rep } = await socksRequest(scene, socksPort, CONNECT, [host, port], { credentials })
    return rep
  }

  it('brings 48 MB down unchanged', async () => {
    expect(await download(await open('127.0.0.1', originPort))).toBe(digest)
  })

  it('brings 48 MB up unchanged', async () => {
    expect(await upload(await open('localhost', originPort), content)).toBe(digest)
  })

  it('carries datagrams to an address and back', async () => {
    const port = await udpEcho(scene, '127.0.0.1')
    const udp = await SocksUdp.open(scene, socksPort, { credentials })
    for (const size of [0, 1, 1_400, 20_000]) {
      const payload = randomFillSync(Buffer.alloc(size))
      expect(await udp.exchange(['127.0.0.1', port], payload)).toEqual(payload)
    }
  })

  it('carries datagrams to a name, looked up at the exit', async () => {
    // whichever family the name is looked up to
    const port = await udpEcho(scene, '127.0.0.1', await freePort())
    if (HAS_IPV6) await udpEcho(scene, '::1', port)
    const udp = await SocksUdp.open(scene, socksPort, { credentials })
    expect(await udp.exchange(['localhost', port], Buffer.from('by name'))).toEqual(Buffer.from('by name'))
  })

  it.skipIf(!HAS_IPV6)('reaches an IPv6 target', async () => {
    const port = await echoTarget(scene, '::1')
    const socket = await open('::1', port)
    socket.end('over IPv6')
    expect((await readAll(socket)).toString()).toBe('over IPv6')
  })

  it('answers REP 05 for a target that refuses', async () => {
    expect(await repOf('127.0.0.1', await freePort())).toBe(5)
  })

  it('answers REP 04 for a name that does not resolve', async () => {
    expect(await repOf('nope.invalid', 80)).toBe(4)
  })

  it('refuses a wrong password', async () => {
    const wrong = socksRequest(scene, socksPort, CONNECT, ['127.0.0.1', originPort], { credentials: ['ann', 'wrong'] })
    await expect(wrong).rejects.toThrow('authentication failed with status 1')
  })

  it('refuses a client that offers no password', async () => {
    const open = socksRequest(scene, socksPort, CONNECT, ['127.0.0.1', originPort])
    await expect(open).rejects.toThrow('method 255 was selected')
  })
})
