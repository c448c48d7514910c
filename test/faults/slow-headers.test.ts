import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { startTunnel } from '../support/e2e-modes.js'
import { type Scene, sceneOfTest } from '../support/e2e-scene.js'
import { socksConnect } from '../support/e2e-socks.js'
import { echoTarget, readAll } from '../support/e2e-targets.js'
import { eventually } from '../support/wait.js'

/** As many as fit into a short test; `npm run soak` opens 10,000. */
const SLOW = 300
const DRIP_MS = 100
/** A new client, from the start of its process to the end of its first stream. */
const GOOD_MS = 5_000

/** Connections that send one byte of `text` from time to time, until `stop()`. */
async function drip(
  scene: Scene,
  port: number,
  text: string,
): Promise<{ sockets: readonly Socket[]; stop: () => void }> {
  const sockets = Array.from({ length: SLOW }, () => scene.connect(port).resume())
  await eventually('connections', () => sockets.every(({ connecting }) => !connecting) || undefined)
  let at = 0
  const timer = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write(text[at % text.length] ?? 'x', 'latin1')
    at += 1
  }, DRIP_MS)
  const stop = (): void => clearInterval(timer)
  scene.own(stop)
  return { sockets, stop }
}

describe(`${SLOW} connections that never come to the point`, () => {
  const scene = sceneOfTest()

  it('on the HTTP and WebSocket port keep no good client out', async () => {
    const { server } = await startTunnel(scene, 'forward')
    const echo = await echoTarget(scene)
    const { stop } = await drip(
      scene,
      server.port,
      'GET /socket HTTP/1.1\r\nHost: relay.test\r\nX-Long: and so on and on',
    )
    const began = performance.now()
    const { socksPort } = await scene.listener(server.url, ['-t', 'F'])
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
    socket.end('good')
    expect((await readAll(socket)).toString()).toBe('good')
    expect(performance.now() - began).toBeLessThan(GOOD_MS)
    stop()
  })

  it('on the SOCKS5 port keep no good application out', async () => {
    const { socksPort } = await startTunnel(scene, 'forward')
    const echo = await echoTarget(scene)
    // 255 methods, of which few ever come
    const { stop } = await drip(scene, socksPort, '\x05\xff\x02')
    await sleep(4 * DRIP_MS)
    const began = performance.now()
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
    socket.end('good')
    expect((await readAll(socket)).toString()).toBe('good')
    expect(performance.now() - began).toBeLessThan(GOOD_MS)
    stop()
  })

  it('are closed by the server when the time for a header is over', async () => {
    const { server } = await startTunnel(scene, 'forward')
    const { sockets, stop } = await drip(scene, server.port, 'GET / HTTP/1.1\r\nHost: relay.test\r\nX-Long: and so on')
    const open = (): number => sockets.filter(({ readableEnded, destroyed }) => !readableEnded && !destroyed).length
    await eventually('end of all of them', () => open() === 0 || undefined, 15_000)
    stop()
  })
})
