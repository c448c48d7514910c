import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Scene, sceneOfTest } from '../support/e2e-scene.js'
import { socksConnect } from '../support/e2e-socks.js'
import { echoTarget, readAll } from '../support/e2e-targets.js'
import { eventually } from '../support/wait.js'
import { type CutScene, startCutScene } from './cut-scene.js'
import { HTTP_PARTS, type Parts, SOCKS_PARTS } from './garbage-parts.js'
import { between, seeded } from './random.js'
import { content, MB, startTransfer, transferTarget } from './transfer.js'

/** For each port; `npm run soak` throws 1,000. */
const CONNECTIONS = 200
const AT_A_TIME = 24
/** How long the other side may take to end a connection before this side does. */
const PATIENCE_MS = 400
const LIMIT_MS = 30_000
/** Files that the server may have opened for good while it was at it. */
const SPARE_FILES = 3

/** One connection that talks nonsense and then goes, in order or not. */
async function throwOne(scene: Scene, port: number, parts: Parts, random: () => number): Promise<void> {
  const kinds = Object.values(parts)
  const make = kinds[between(random, 0, kinds.length - 1)]
  if (make === undefined) throw new Error('no kind of garbage')
  const socket = scene.connect(port)
  const closed = once(socket, 'close').catch(() => {})
  for (const part of make(random)) socket.write(part)
  socket.resume()
  if (random() < 0.7) socket.end()
  await Promise.race([closed, sleep(random() < 0.2 ? 5 : PATIENCE_MS)])
  socket.resetAndDestroy()
}

/** `CONNECTIONS` of them, a few at a time. */
async function throwAll(scene: Scene, port: number, parts: Parts, seed: number): Promise<void> {
  const random = seeded(seed)
  let left = CONNECTIONS
  const thrower = async (): Promise<void> => {
    while (left-- > 0) await throwOne(scene, port, parts, random)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, thrower))
}

describe.each([
  ['the HTTP and WebSocket port', HTTP_PARTS, (tunnel: CutScene) => tunnel.serverPort],
  ['the SOCKS5 port', SOCKS_PARTS, (tunnel: CutScene) => tunnel.socksPort],
] as const)(`${CONNECTIONS} connections full of garbage to %s`, (_, parts, portOf) => {
  const scene = sceneOfTest()

  it('disturb no transfer, end no process and keep no good client out', async () => {
    const tunnel = await startCutScene(scene, 'forward', { path: { rate: 10 * MB } })
    const processes = [tunnel.server, ...tunnel.clients]
    const body = content(20 * MB)
    const target = await transferTarget(scene, body, LIMIT_MS)
    const plan = { socksPort: tunnel.socksPort, target, body, limitMs: LIMIT_MS }
    const transfer = await startTransfer(scene, plan, 'download')
    const files = (): readonly number[] => processes.map(({ pid }) => readdirSync(`/proc/${pid}/fd`).length)
    const before = files()

    await throwAll(scene, portOf(tunnel), parts, 7)
    expect(await transfer.result).toBe('whole')
    expect(await transfer.stillOpen()).toBe(true)
    await expectGoodClient(tunnel)
    const closed = (): boolean => files().every((count, index) => count <= (before[index] ?? 0) + SPARE_FILES)
    await eventually('the open files of before', () => closed() || undefined, LIMIT_MS)
    for (const { log } of processes) expect(log.filter(({ level }) => level === 'error')).toEqual([])
    for (const process of processes) expect(await process.end('SIGINT')).toBe(0)
  })

  /** One that is new to the server, and the one that was there. */
  async function expectGoodClient(tunnel: CutScene): Promise<void> {
    const echo = await echoTarget(scene)
    const fresh = await scene.listener(`ws://127.0.0.1:${tunnel.serverPort}`, ['-t', 'F'])
    for (const socksPort of [fresh.socksPort, tunnel.socksPort]) {
      const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
      socket.end('good')
      expect((await readAll(socket)).toString()).toBe('good')
    }
    expect(await fresh.process.end('SIGTERM')).toBe(0)
  }
})
