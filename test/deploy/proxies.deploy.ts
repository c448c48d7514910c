import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type LocalCa, localCa, OPENSSL } from '../interop/support/local-ca.js'
import { expectBulk, expectHalfClose, expectInteractive, expectParallel } from '../interop/support/transport-checks.js'
import { readText } from '../project/support.js'
import { type Scene, sceneOfSuite, sceneOfTest, sha256 } from '../support/e2e/scene.js'
import { eventually, within } from '../support/wait.js'
import { CADDY_EXAMPLE, type Example, type ExampleKind, NGINX_EXAMPLE } from './support/examples.js'

const MB = 1024 * 1024
const API_KEY = 'key of the tests'
const SERVER = ['-r', '-t', 'P', '-c', 'C', '-p', '0', '-k', API_KEY, '--trusted-proxy', '127.0.0.1']
/** Time-outs of a proxy that a test can wait for. */
const SHORT_IDLE_S = 3

const scene = sceneOfSuite()
let ca: LocalCa
let certificate = ''
beforeAll(async () => {
  if (OPENSSL === undefined) return
  ca = await localCa(scene, 'authority of the tests')
  certificate = await ca.certificate({ names: ['DNS:localhost', 'IP:127.0.0.1'] })
})

/** A relay, the example in front of it, and a provider and a connector that come through the example. */
async function startTunnel(scene: Scene, kind: ExampleKind, pings: readonly string[] = [], idleSeconds?: number) {
  const server = await scene.server([...SERVER, ...pings])
  const example = await kind.start(scene, {
    targetPort: server.port,
    certificate,
    ...(idleSeconds !== undefined && { idleSeconds }),
  })
  const url = `wss://localhost:${example.port}`
  const provider = await scene.provider(url, ['-t', 'P', '--ca-file', ca.file, ...pings])
  const connector = await scene.listener(url, ['-t', 'C', '--ca-file', ca.file, ...pings])
  return { server: server.process, example, provider, connector: connector.process, socksPort: connector.socksPort }
}

async function ask(example: Example, path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
  const sent = request({
    host: 'localhost',
    port: example.port,
    path,
    ca: readFileSync(ca.file),
    agent: false,
    ...options,
  })
  sent.end()
  const [response] = (await within(once(sent, 'response'), `answer of ${path}`)) as [IncomingMessage]
  return response
}

/** Where a client with this token goes. */
function socketUrl({ port }: Example, token: string): string {
  return `wss://localhost:${port}/socket?token=${sha256(token)}&instance=8a0ed7e4-54c5-4a4e-a3f0-8d35a0f66e2c`
}

for (const kind of [NGINX_EXAMPLE, CADDY_EXAMPLE]) {
  describe.skipIf(kind.program === undefined || OPENSSL === undefined)(`the example for ${kind.name}`, () => {
    describe('with a tunnel', () => {
      const scene = sceneOfSuite()
      let tunnel: Awaited<ReturnType<typeof startTunnel>>
      beforeAll(async () => {
        tunnel = await startTunnel(scene, kind)
      })

      it('carries 16 MB both ways at once', () =>
        expectBulk(scene, tunnel.socksPort, randomFillSync(Buffer.alloc(16 * MB))))
      it('carries small exchanges', () => expectInteractive(scene, tunnel.socksPort))
      it('carries half-close', () => expectHalfClose(scene, tunnel.socksPort))
      it('carries 100 parallel connections', () => expectParallel(scene, tunnel.socksPort, 100))

      it('passes the HTTP API on', async () => {
        const answer = await ask(tunnel.example, '/api/status', { headers: { 'X-API-Key': API_KEY } })
        expect(answer.statusCode).toBe(200)
        expect((await ask(tunnel.example, '/api/status', { headers: { 'X-API-Key': 'wrong' } })).statusCode).toBe(401)
      })

      it('tells the relay who the client is', async () => {
        const socket = new WebSocket(socketUrl(tunnel.example, 'C'), {
          ca: readFileSync(ca.file),
          localAddress: '127.0.0.9',
          family: 4,
        })
        scene.own(() => socket.terminate())
        await once(socket, 'open')
        await tunnel.server.event('link.admitted', { address: '127.0.0.9' })
      })

      it('keeps tokens, and the hashes that are as good, out of its logs', async () => {
        const { example } = tunnel
        // a request is written down when it has ended
        const refused = new WebSocket(socketUrl(example, 'wrong'), { ca: readFileSync(ca.file) })
        await once(refused, 'close')
        const logs = () => {
          const names = readdirSync(example.logFolder).filter((name) => name.endsWith('.log'))
          const texts = names.map((name) => readFileSync(join(example.logFolder, name), 'utf8'))
          return [...texts, example.front.process.output].join('\n')
        }
        if (kind === NGINX_EXAMPLE) {
          await eventually('line about the WebSocket', () => (logs().includes('"GET /socket"') ? true : undefined))
        }
        for (const token of ['P', 'C', 'wrong']) expect(logs()).not.toContain(sha256(token))
        expect(logs()).not.toContain('token=')
      })
    })

    describe('on its own', () => {
      const scene = sceneOfTest()

      it('passes each server-sent event on as it comes', async () => {
        let goOn = (): void => {}
        const origin = createServer((_, response) => {
          response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
          response.write('event: hello\n\n')
          goOn = () => response.end('event: stats\n\n')
        }).listen(0, '127.0.0.1')
        scene.own(() => origin.close())
        await once(origin, 'listening')
        const targetPort = (origin.address() as AddressInfo).port
        const example = await kind.start(scene, { targetPort, certificate })
        const answer = await ask(example, '/api/events', { headers: { 'Accept-Encoding': 'gzip' } })
        const [first] = (await within(once(answer, 'data'), 'first event')) as [Buffer]
        expect(first.toString()).toBe('event: hello\n\n')
        goOn()
        const [second] = (await within(once(answer, 'data'), 'second event')) as [Buffer]
        expect(second.toString()).toBe('event: stats\n\n')
      })

      it(`keeps an idle link for longer than twice its time-out, for pings are more frequent`, async () => {
        // both ends have patience: only the proxy could cut the link
        const pings = ['--ping-interval', '200ms', '--ping-timeout', '1h']
        const idle = kind === NGINX_EXAMPLE ? SHORT_IDLE_S : undefined
        const tunnel = await startTunnel(scene, kind, pings, idle)
        await sleep(2.4 * SHORT_IDLE_S * 1_000)
        for (const client of [tunnel.provider, tunnel.connector]) {
          expect(client.events('link.down')).toEqual([])
          expect(client.events('link.up')).toHaveLength(1)
        }
        await expectInteractive(scene, tunnel.socksPort, 3)
      })
    })
  })
}

describe.skipIf(NGINX_EXAMPLE.program === undefined || OPENSSL === undefined)('the example for nginx, besides', () => {
  const scene = sceneOfTest()

  it('would cut a link whose pings come later than its time-out', async () => {
    const pings = ['--ping-interval', '1h', '--ping-timeout', '24h']
    const tunnel = await startTunnel(scene, NGINX_EXAMPLE, pings, SHORT_IDLE_S)
    await tunnel.connector.event('link.down')
  })

  it('waits longer than both ends of a link do', async () => {
    const timeouts = [...(await readText('deploy/nginx.conf')).matchAll(/proxy_(?:read|send)_timeout (\d+)s;/g)]
    const pingTimeout = Number(/`--ping-timeout <duration>` \|\s*\| (\d+)s/.exec(await readText('docs/cli.md'))?.[1])
    expect(timeouts).toHaveLength(4)
    for (const [, seconds] of timeouts) expect(Number(seconds)).toBeGreaterThan(pingTimeout)
  })

  it('sends whoever comes without TLS to where TLS is', async () => {
    const { plainPort = 0 } = await NGINX_EXAMPLE.start(scene, { targetPort: 9, certificate })
    const answer = await fetch(`http://127.0.0.1:${plainPort}/dashboard/`, {
      redirect: 'manual',
      headers: { Host: 'localhost' },
    })
    expect(answer.status).toBe(308)
    expect(answer.headers.get('location')).toMatch(/^https:\/\/[^/]+\/dashboard\/$/)
  })
})
