import { randomBytes, randomFillSync } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Scene, sceneOfSuite, sceneOfTest } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { eventually } from '../../support/wait.js'
import type { MixedTunnel } from '../support/mixed-tunnel.js'
import { ours, startOurs } from '../support/proxies/fronted.js'
import { HAPROXY } from '../support/proxies/haproxy.js'
import { location, NGINX, startNginx } from '../support/proxies/nginx.js'
import type { Front, FrontKind, FrontOptions } from '../support/proxies/reverse-proxy.js'
import {
  expectBulk,
  expectHalfClose,
  expectInteractive,
  expectParallel,
  expectUdp,
} from '../support/transport-checks.js'

const MB = 1024 * 1024
const content = randomFillSync(Buffer.alloc(64 * MB))

/** Puts a front of a kind between a tunnel's clients and its server. */
function behind(scene: Scene, kind: FrontKind, options: Partial<FrontOptions> = {}): (port: number) => Promise<string> {
  return async (targetPort) => `ws://127.0.0.1:${(await kind.start(scene, { ...options, targetPort })).port}`
}

/** Waits until the client has been admitted `count` times. */
async function comesBack(tunnel: MixedTunnel, count: number): Promise<void> {
  const links = () => ours(tunnel.listener).events('link.up').length
  await eventually(`link ${count}`, () => (links() >= count ? true : undefined))
}

for (const kind of [NGINX, HAPROXY]) {
  describe.skipIf(kind.program === undefined)(`${kind.name} in front of our server`, () => {
    describe.each(['forward', 'agent'] as const)('in %s mode', (mode) => {
      const scene = sceneOfSuite()
      let socksPort = 0
      beforeAll(async () => {
        socksPort = (await startOurs(scene, mode, { inFront: behind(scene, kind) })).socksPort
      })

      it('carries 64 MB both ways at once', () => expectBulk(scene, socksPort, content))
      it('carries small exchanges', () => expectInteractive(scene, socksPort))
      it('carries half-close', () => expectHalfClose(scene, socksPort))
      it('carries datagrams', () => expectUdp(scene, socksPort))
      it('carries 200 parallel connections', () => expectParallel(scene, socksPort, 200))
    })

    describe('on its own', () => {
      const scene = sceneOfTest()

      it('carries authentication in-band, on a path below /socket', async () => {
        const tunnel = await startOurs(scene, 'forward', { inFront: behind(scene, kind), path: '/socket/any' })
        await expectInteractive(scene, tunnel.socksPort)
      })

      it.each([
        ['trusted, is believed what it says about the client', '127.0.0.9', '127.0.0.1'],
        ['not trusted, is taken for the client', '127.0.0.8', '127.0.0.9'],
      ])('that is %s', async (_what, trusted, address) => {
        const { server } = await startOurs(scene, 'forward', {
          serverArgs: ['--trusted-proxy', trusted],
          listenerArgs: ['--header', 'X-Forwarded-For: 203.0.113.7'],
          inFront: behind(scene, kind, { source: '127.0.0.9' }),
        })
        await ours(server).event('link.admitted')
        expect(ours(server).events('link.admitted')).toMatchObject([{ role: 'forward', address }])
      })

      it('may be restarted: the client comes back', async () => {
        const port = await freePort()
        let targetPort = 0
        let front: Front | undefined
        const tunnel = await startOurs(scene, 'forward', {
          inFront: async (target) => {
            targetPort = target
            front = await kind.start(scene, { port, targetPort })
            return `ws://127.0.0.1:${port}`
          },
        })
        await expectInteractive(scene, tunnel.socksPort, 3)
        await front?.end()
        await ours(tunnel.listener).event('link.down')
        await kind.start(scene, { port, targetPort })
        await comesBack(tunnel, 2)
        await expectInteractive(scene, tunnel.socksPort, 3)
      })
    })
  })
}

describe.skipIf(NGINX.program === undefined)('nginx, configured', () => {
  const scene = sceneOfTest()

  it.each([
    ['a prefix that it takes away', '/tunnel/', '/socket/', '/tunnel/here'],
    ['one path that it renames', '= /relay', '/socket', '/relay'],
    ['a prefix in front of the usual path', '/deep/down/', '/', '/deep/down/socket'],
  ])('with %s, leads to our server', async (_what, where, to, path) => {
    const tunnel = await startOurs(scene, 'agent', {
      path,
      inFront: async (targetPort) => {
        const port = await freePort()
        const servers = `server { listen 127.0.0.1:${port}; ${location(where, `http://127.0.0.1:${targetPort}${to}`)} }`
        await startNginx(scene, { listens: ['127.0.0.1', port], servers })
        return `ws://127.0.0.1:${port}`
      },
    })
    await expectBulk(scene, tunnel.socksPort, randomBytes(MB))
  })

  it.each([
    ['passes nothing on', ''],
    ['forgets the Connection header', 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;'],
  ])('that %s, shows in what the client says', async (_what, lines) => {
    const { port: targetPort } = await scene.server(['-t', 'F'])
    const port = await freePort()
    const servers = `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${targetPort}; ${lines} } }`
    await startNginx(scene, { listens: ['127.0.0.1', port], servers })
    const client = scene.start(['client', '-u', `ws://127.0.0.1:${port}`, '-t', 'F', '-p', '0', '-R'])
    expect(await client.end()).toBe(1)
    expect(client.stderr).toMatch(/--url: no WebSocket at ws:\/\/127\.0\.0\.1:\d+\/socket: server answered 4(04|26) /)
  })

  /** A tunnel through an nginx that has been reloaded, and gives its old worker some more time. */
  async function reloaded(seconds: number): Promise<MixedTunnel> {
    let front: Front | undefined
    const tunnel = await startOurs(scene, 'forward', {
      inFront: async (targetPort) => {
        const port = await freePort()
        const servers = `server { listen 127.0.0.1:${port}; ${location('/', `http://127.0.0.1:${targetPort}`)} }`
        const main = `worker_shutdown_timeout ${seconds}s; error_log stderr notice;`
        front = await startNginx(scene, { listens: ['127.0.0.1', port], servers, main })
        return `ws://127.0.0.1:${port}`
      },
    })
    process.kill(front?.process.pid ?? 0, 'SIGHUP')
    await front?.process.says('gracefully shutting down')
    return tunnel
  }

  it('is reloaded: links go on in the old worker', async () => {
    const tunnel = await reloaded(300)
    await expectInteractive(scene, tunnel.socksPort, 3)
    expect(ours(tunnel.listener).events('link.down')).toEqual([])
  })

  it('is reloaded: the client comes back when the time of the old worker is over', async () => {
    const tunnel = await reloaded(1)
    await comesBack(tunnel, 2)
    await expectInteractive(scene, tunnel.socksPort, 3)
  })
})
