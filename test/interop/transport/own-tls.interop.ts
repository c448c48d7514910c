import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { LinksocksProcess } from '../../support/e2e/process.js'
import { type Scene, sceneOfSuite, sceneOfTest } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { untilPasses, within } from '../../support/wait.js'
import { CLIENT_FLAGS, DEPLOYED } from '../support/deployed.js'
import { type LocalCa, localCa } from '../support/local-ca.js'
import { accepts, startPeer } from '../support/mixed-tunnel.js'
import { describeWith, output, run } from '../support/programs/programs.js'
import { location, startNginx, tlsLines } from '../support/proxies/nginx.js'
import { folderOf } from '../support/proxies/reverse-proxy.js'
import { API_KEY, LOOPBACK_NAMES, startTlsServer, type TlsServer, tlsConnection } from '../support/tls-server.js'
import { expectBulk, expectHalfClose, expectInteractive } from '../support/transport-checks.js'

// everything flows through several programs
vi.setConfig({ testTimeout: 120_000 })

const MB = 1024 * 1024
const MODES = ['forward', 'reverse', 'agent'] as const
type Mode = (typeof MODES)[number]

/** What starts a client of either side with these arguments, and waits until it is in. */
type Start = (scene: Scene, url: string, args: readonly string[]) => Promise<unknown>

const suite = sceneOfSuite()
let ca: LocalCa
let bundle = ''

const ours: Start = async (scene, url, args) => {
  const client = scene.start(['client', '-u', url, '--ca-file', ca.file, '--log-format', 'json', ...args])
  await client.event('link.up')
}

const [release] = DEPLOYED
const deployed: Start = async (scene, url, args) => {
  const command = [...(release?.command ?? []), 'client', ...CLIENT_FLAGS, '-u', url, ...args]
  const client = startPeer(scene, command, { SSL_CERT_FILE: ca.file })
  await client.says('Authentication successful')
}

function serverArgs(mode: Mode, port: number): readonly string[] {
  if (mode === 'forward') return ['-t', 'F']
  return ['-r', '-t', 'P', '-p', `${port}`, ...(mode === 'agent' ? ['-c', 'C'] : [])]
}

/** Starts the clients of a mode. @returns the SOCKS5 port */
async function startClients(scene: Scene, mode: Mode, url: string, reversePort: number, start: Start): Promise<number> {
  if (mode !== 'forward') await start(scene, url, ['-r', '-t', 'P'])
  if (mode === 'reverse') return reversePort
  const port = await freePort()
  await start(scene, url, ['-t', mode === 'agent' ? 'C' : 'F', '-p', `${port}`])
  return port
}

/** @param halfCloses whether the programs between pass on the end of one direction alone; deployed ones don't */
async function expectTraffic(scene: Scene, socksPort: number, halfCloses = true): Promise<void> {
  await accepts(socksPort, () => '')
  await expectInteractive(scene, socksPort)
  await expectBulk(scene, socksPort, randomBytes(16 * MB))
  if (halfCloses) await expectHalfClose(scene, socksPort)
}

/** Requests by curl, which trusts the authority and nothing else. */
async function curl(scene: Scene, ...args: readonly string[]): Promise<string> {
  return (await output(scene, ['curl', '-sS', '--cacert', ca.file, ...args])).toString()
}

async function clientsOf(scene: Scene, { port }: TlsServer): Promise<readonly unknown[]> {
  const answer = await curl(scene, '-H', `X-API-Key: ${API_KEY}`, `https://localhost:${port}/api/clients`)
  return JSON.parse(answer).clients
}

const rejections = (server: LinksocksProcess, reason: string) => server.events('http.rejected', { reason })

describeWith(['openssl', 'curl'], 'a server with TLS of its own', () => {
  beforeAll(async () => {
    ca = await localCa(suite, 'Authority of this test')
    bundle = await ca.certificate({ names: LOOPBACK_NAMES, chained: true })
  })

  const sides: readonly (readonly [string, Start, boolean])[] = [
    ['our clients', ours, false],
    [`clients of ${release?.name}, told of the authority by SSL_CERT_FILE,`, deployed, release?.missing !== undefined],
  ]
  for (const [who, start, missing] of sides) {
    describe.skipIf(missing).each(MODES)(`carries what ${who} send in %s mode:`, (mode) => {
      const scene = sceneOfTest()

      it('exchanges, bulk and, between ours, half-close', async () => {
        const reversePort = await freePort()
        const server = await startTlsServer(scene, bundle, serverArgs(mode, reversePort))
        const socksPort = await startClients(scene, mode, server.url, reversePort, start)
        await expectTraffic(scene, socksPort, start === ours)
        expect(server.process.events('http.rejected')).toEqual([])
      })
    })
  }

  describe('by itself', () => {
    const scene = sceneOfTest()

    it('serves clients that know TLS 1.2 and nothing newer', async () => {
      const { url } = await startTlsServer(scene, bundle, ['-t', 'F'])
      const env = { NODE_OPTIONS: '--tls-max-v1.2' }
      const { socksPort } = await scene.listener(url, ['-t', 'F', '--ca-file', ca.file], { env })
      await expectTraffic(scene, socksPort)
    })

    it('serves pages to curl by https', async () => {
      const { port } = await startTlsServer(scene, bundle, ['-t', 'F'])
      const base = `https://localhost:${port}`
      expect(await curl(scene, `${base}/healthz`)).not.toBe('')
      expect(await curl(scene, `${base}/dashboard`, '-L')).toContain('<html')
      expect(await curl(scene, '--tls-max', '1.2', `https://127.0.0.1:${port}/`)).toContain('LinkSocks')
      const asked = ['-H', `X-API-Key: ${API_KEY}`, `${base}/api/server`, `${base}/api/clients`]
      expect(await curl(scene, ...asked)).toContain('"alarms":[')
      const untrusting = await run(scene, ['curl', '-sS', `${base}/healthz`])
      // CURLE_PEER_FAILED_VERIFICATION
      expect(untrusting.code).toBe(60)
    })

    it('opens WebSockets to curl by https', async () => {
      const { port } = await startTlsServer(scene, bundle, ['-t', 'F'])
      const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
      const fields = [...upgrade, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='].flatMap((field) => ['-H', field])
      // a token that nobody has, so that the server ends it
      const url = `https://localhost:${port}/socket?token=nobody&reverse=0`
      const { stdout } = await run(scene, ['curl', '-sSi', '--http1.1', '--cacert', ca.file, ...fields, url])
      expect(stdout.toString('latin1')).toMatch(
        /^HTTP\/1\.1 101 .*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/is,
      )
      expect(await curl(scene, `https://localhost:${port}/socket`)).toContain('a WebSocket is opened')
    })

    it('answers plain HTTP on its TLS port with what to do', async () => {
      const { port, process } = await startTlsServer(scene, bundle, ['-t', 'F'])
      const answer = await curl(scene, '-i', `http://127.0.0.1:${port}/api/server`)
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain('use https:// or wss://')
      await process.event('http.rejected')
      expect(process.events('http.rejected')).toHaveLength(1)
    })

    it('says one line for each TLS connection to a port without TLS, and not too many', async () => {
      const { process, port } = await scene.server(['-t', 'F'])
      const said = 'TLS on a port that has none: use ws:// or http://'
      /** A few handshakes, one after another, and then something else that is logged. */
      const attempts = async (count: number, marker: number): Promise<void> => {
        for (let done = 0; done < count; done += 1) {
          await expect(tlsConnection(scene, port)).rejects.toThrow()
        }
        const other = scene.connect(port)
        other.end('no HTTP\r\n\r\n')
        await within(new Promise((resolve) => other.on('close', resolve).resume()), 'end of the connection')
        await untilPasses(() => expect(process.stderr.split('HPE_').length).toBeGreaterThan(marker))
      }
      await attempts(10, 1)
      expect(rejections(process, said)).toHaveLength(10)
      for (let done = 0; done < 190; done += 1) await expect(tlsConnection(scene, port)).rejects.toThrow()
      // 50 in 10 s, and the first and last of these may be cut off
      const times = rejections(process, said).map(({ time }) => Date.parse(String(time)))
      const periods = Math.ceil(((times.at(-1) ?? 0) - (times[0] ?? 0)) / 10_000) + 1
      expect(times.length).toBeLessThanOrEqual(50 * periods)
    })

    it('ends a TLS connection whose client says no more after its request, with the answer', async () => {
      const { port } = await startTlsServer(scene, bundle, ['-t', 'F'])
      const socket = await tlsConnection(scene, port, { allowHalfOpen: true })
      socket.end(`GET /api/server HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${API_KEY}\r\n\r\n`)
      let answer = ''
      socket.setEncoding('utf8').on('data', (text: string) => {
        answer += text
      })
      await within(new Promise((resolve) => socket.on('close', resolve)), 'end of the connection')
      expect(answer).toMatch(/^HTTP\/1\.1 200 .*"alarms"/s)
    })
  })

  describeWith(['nginx'], 'with a Unix socket behind nginx', () => {
    const scene = sceneOfTest()

    it.each(['forward', 'agent'] as const)(
      'carries %s mode, and shows the address of clients that nginx names',
      async (mode) => {
        const reversePort = await freePort()
        const path = join(folderOf(scene), 'relay.sock')
        const more = ['--listen', `ws+unix:${path}`, ...serverArgs(mode, reversePort)]
        const server = await startTlsServer(scene, bundle, more)
        expect(await server.process.event('server.ready')).toMatchObject({ listen: expect.stringContaining(path) })
        const port = await freePort()
        const servers = `server {
          listen 127.0.0.1:${port} ssl; ${tlsLines(bundle)}
          ${location('/', `http://unix:${path}`)}
        }`
        await startNginx(scene, { listens: ['127.0.0.1', port], servers })
        // what a client says of itself counts for nothing
        const lying: Start = (owner, url, args) =>
          ours(owner, url, [...args, '--header', 'X-Forwarded-For: 203.0.113.7'])
        const socksPort = await startClients(scene, mode, `wss://localhost:${port}`, reversePort, lying)
        await expectTraffic(scene, socksPort)
        const clients = await clientsOf(scene, server)
        expect(clients).toHaveLength(mode === 'agent' ? 2 : 1)
        for (const client of clients) expect(client).toMatchObject({ address: '127.0.0.1', state: 'connected' })
      },
    )

    it('names clients of the socket by themselves where no proxy does', async () => {
      const path = join(folderOf(scene), 'relay.sock')
      await startTlsServer(scene, bundle, ['-t', 'F', '--listen', `ws+unix:${path}`])
      const asked = ['--unix-socket', path, '-H', `X-API-Key: ${API_KEY}`]
      expect(await curl(scene, ...asked, 'http://localhost/api/server')).toContain('"alarms":[')
      expect(await curl(scene, '-o', '/dev/null', '-w', '%{http_code}', ...asked, 'http://localhost/nothing')).toBe(
        '404',
      )
    })
  })
})
