import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { withScene } from '../../support/beside.js'
import type { Scene } from '../../support/e2e/scene.js'
import { socksConnect } from '../../support/e2e/socks.js'
import { echoTarget, readAll } from '../../support/e2e/targets.js'
import { eventually, within } from '../../support/wait.js'
import { type CutScene, startCutScene } from '../cut-scene.js'
import { content, MB, startTransfer, transferTarget } from '../transfer.js'
import { HTTP_PARTS, type Parts, SOCKS_PARTS } from './garbage-parts.js'
import { between, seeded } from './random.js'

/** For each port; `npm run soak` throws 1,000. */
const CONNECTIONS = 200
const AT_A_TIME = 24
/** Files that the server may have opened for good while it was at it. */
const SPARE_FILES = 3

/**
 * One connection that talks nonsense and then goes: at once, or in order and when the other side has gone as well.
 * @returns one that does neither
 */
async function throwOne(scene: Scene, port: number, parts: Parts, random: () => number): Promise<Socket | undefined> {
  const kinds = Object.values(parts)
  const make = kinds[between(random, 0, kinds.length - 1)]
  if (make === undefined) throw new Error('no kind of garbage')
  const socket = scene.connect(port).resume()
  const closed = once(socket, 'close').catch(() => {})
  const written = make(random).map((part) => new Promise((resolve) => socket.write(part, resolve)))
  const inOrder = random() < 0.7
  if (inOrder) socket.end()
  if (random() < 0.2) await Promise.race([closed, Promise.all(written)])
  else if (inOrder) await within(closed, 'end of the connection by the other side')
  else return socket
  socket.resetAndDestroy()
  return undefined
}

/** `CONNECTIONS` of them, a few at a time. Those that don't go stay until all others have. */
async function throwAll(scene: Scene, port: number, parts: Parts, seed: number): Promise<void> {
  const random = seeded(seed)
  const staying: Socket[] = []
  let left = CONNECTIONS
  const thrower = async (): Promise<void> => {
    while (left-- > 0)
      staying.push(...[await throwOne(scene, port, parts, random)].filter((socket) => socket !== undefined))
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, thrower))
  for (const socket of staying) socket.resetAndDestroy()
}

/** One that is new to the server, and the one that was there. */
async function expectGoodClient(scene: Scene, tunnel: CutScene): Promise<void> {
  const echo = await echoTarget(scene)
  const fresh = await scene.listener(`ws://127.0.0.1:${tunnel.serverPort}`, ['-t', 'F'])
  for (const socksPort of [fresh.socksPort, tunnel.socksPort]) {
    const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
    socket.end('good')
    expect((await readAll(socket)).toString()).toBe('good')
  }
  expect(await fresh.process.end('SIGTERM')).toBe(0)
}

describe.concurrent.each([
  ['the HTTP and WebSocket port', HTTP_PARTS, (tunnel: CutScene) => tunnel.serverPort],
  ['the SOCKS5 port', SOCKS_PARTS, (tunnel: CutScene) => tunnel.socksPort],
] as const)(`${CONNECTIONS} connections full of garbage to %s`, (_, parts, portOf) => {
  it(
    'disturb no transfer, end no process and keep no good client out',
    withScene(async (scene) => {
      const tunnel = await startCutScene(scene, 'forward', { path: { rate: 10 * MB } })
      const processes = [tunnel.server, ...tunnel.clients]
      const body = content(20 * MB)
      let release = (): void => {}
      const { port: target } = await transferTarget(scene, body, new Promise<void>((resolve) => (release = resolve)))
      const transfer = await startTransfer(scene, { socksPort: tunnel.socksPort, target, body }, 'download')
      const files = (): readonly number[] => processes.map(({ pid }) => readdirSync(`/proc/${pid}/fd`).length)
      const before = files()

      await throwAll(scene, portOf(tunnel), parts, 7)
      release()
      expect(await transfer.result).toBe('whole')
      expect(await transfer.stillOpen()).toBe(true)
      await expectGoodClient(scene, tunnel)
      const closed = (): boolean => files().every((count, index) => count <= (before[index] ?? 0) + SPARE_FILES)
      await eventually('the open files of before', () => closed() || undefined)
      for (const process of processes) expect(await process.end('SIGINT')).toBe(0)
      for (const { log } of processes) expect(log.filter(({ level }) => level === 'error')).toEqual([])
    }),
  )
})
