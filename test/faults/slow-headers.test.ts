import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { withScene } from '../support/beside.js'
import type { Scene } from '../support/e2e/scene.js'
import { socksConnect } from '../support/e2e/socks.js'
import { echoTarget, readAll } from '../support/e2e/targets.js'
import { until } from '../support/wait.js'
import { waitingTimes } from './preload.js'

/** As many as fit into a short test; `npm run soak` opens 10,000. */
const SLOW = 300
const DRIP_MS = 100
const HEADER = 'GET /socket HTTP/1.1\r\nHost: relay.test\r\nX-Long: and so on'
/** The program waits for slow ones longer than a test takes, so that they are there to the end. */
const FOR_EVER = waitingTimes(1_000)
/** A second for a header. */
const SHORT = waitingTimes(0.1)

interface Slow {
  /** How many the other side has not ended. */
  readonly open: () => number
  /** What came on each. */
  readonly heard: readonly string[]
}

/** Connections that send one byte of `text` from time to time; each has sent some. */
async function drip(scene: Scene, port: number, text: string): Promise<Slow> {
  const heard = new Array<string>(SLOW).fill('')
  const sockets = heard.map((_, index) =>
    scene.connect(port).on('data', (bytes) => {
      heard[index] += bytes.toString()
    }),
  )
  await until(() => sockets.every(({ connecting }) => !connecting))
  let sent = 0
  const timer = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write(text[sent % text.length] ?? 'x', 'latin1')
    sent += 1
  }, DRIP_MS)
  scene.own(() => clearInterval(timer))
  await until(() => sent >= 4)
  const isOpen = ({ readableEnded, destroyed }: Socket): boolean => !readableEnded && !destroyed
  return { open: () => sockets.filter(isOpen).length, heard }
}

/** Something new through a SOCKS5 port, while all the slow ones are there. */
async function expectGood(scene: Scene, socksPort: number, echo: number, { open }: Slow): Promise<void> {
  const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
  socket.end('good')
  expect((await readAll(socket)).toString()).toBe('good')
  expect(open()).toBe(SLOW)
}

describe.concurrent(`${SLOW} connections that never come to the point`, { timeout: 120_000 }, () => {
  it(
    'on the HTTP and WebSocket port keep no good client out',
    withScene(async (scene) => {
      const echo = await echoTarget(scene)
      const server = await scene.server(['-t', 'F'], { env: FOR_EVER })
      const slow = await drip(scene, server.port, HEADER)
      const { socksPort } = await scene.listener(server.url, ['-t', 'F'])
      await expectGood(scene, socksPort, echo, slow)
    }),
  )

  it(
    'on the SOCKS5 port keep no good application out',
    withScene(async (scene) => {
      const echo = await echoTarget(scene)
      const server = await scene.server(['-t', 'F'])
      const { socksPort } = await scene.listener(server.url, ['-t', 'F'], { env: FOR_EVER })
      // 255 methods, of which few ever come
      const slow = await drip(scene, socksPort, '\x05\xff\x02')
      await expectGood(scene, socksPort, echo, slow)
    }),
  )

  it(
    'on the SOCKS5 port with half a head of HTTP keep no good application out',
    withScene(async (scene) => {
      const echo = await echoTarget(scene)
      const server = await scene.server(['-t', 'F'])
      const { socksPort } = await scene.listener(server.url, ['-t', 'F'], { env: FOR_EVER })
      const slow = await drip(scene, socksPort, HEADER)
      await expectGood(scene, socksPort, echo, slow)
    }),
  )

  it(
    'are closed by the server when the time for a header is over',
    withScene(async (scene) => {
      const server = await scene.server(['-t', 'F'], { env: SHORT })
      const { open, heard } = await drip(scene, server.port, HEADER)
      await until(() => open() === 0)
      // a connection on which we write on may be gone before its answer is read
      const answers = new Set(heard.filter((text) => text !== '').map((text) => text.slice(0, 12)))
      expect([...answers]).toEqual(['HTTP/1.1 408'])
      await server.process.event('http.rejected', { reason: 'ERR_HTTP_REQUEST_TIMEOUT' })
    }),
  )
})
