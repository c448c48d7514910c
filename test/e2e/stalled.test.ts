import { randomFillSync } from 'node:crypto'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { startTunnel, type Tunnel } from '../support/e2e-modes.js'
import { sceneOfTest, sha256 } from '../support/e2e-scene.js'
import { readBytes, socksConnect } from '../support/e2e-socks.js'
import { download, httpOrigin, longAnswer } from '../support/e2e-targets.js'
import { eventually } from '../support/wait.js'

const MB = 1024 * 1024
const STALLED = 20
/** The processes together may grow by this while the downloads stand still. */
const GROWTH_LIMIT = 150 * MB
/** So long without a byte means that all buffers on the way are full. */
const STANDSTILL_MS = 300
/** How far beyond every buffer a download has to come when its reader goes on. */
const RESUMED_BYTES = 40 * MB

const content = randomFillSync(Buffer.alloc(16 * MB))
const digest = sha256(content)

function residentBytes({ processes }: Tunnel): number {
  return processes.reduce((sum, process) => sum + process.residentBytes(), 0)
}

/** Waits until nothing is sent any more; gives how much was. */
async function standstill(sent: () => number): Promise<number> {
  let [last, since] = [sent(), Date.now()]
  return await eventually('standstill', () => {
    if (sent() !== last) [last, since] = [sent(), Date.now()]
    return Date.now() - since >= STANDSTILL_MS ? last : undefined
  })
}

/** Reads on and forgets what it reads, up to `bytes`. */
async function readOn(socket: Socket, bytes: number): Promise<void> {
  let read = 0
  socket.on('data', (chunk: Buffer) => {
    read += chunk.length
    if (read >= bytes) socket.pause()
  })
  await eventually('further data', () => read >= bytes || undefined)
}

describe.each(['forward', 'agent'] as const)('20 stalled downloads of 400 MB in %s mode', (mode) => {
  const scene = sceneOfTest()

  it('cost little memory, slow no other down, and go on when they are read', async () => {
    const tunnel = await startTunnel(scene, mode)
    const origin = await httpOrigin(scene, content)
    const long = await longAnswer(scene, 400 * MB)
    const open = (port: number): Promise<Socket> => socksConnect(scene, tunnel.socksPort, ['127.0.0.1', port])
    const timed = async (): Promise<number> => {
      const socket = await open(origin)
      const begin = performance.now()
      expect(await download(socket)).toBe(digest)
      return performance.now() - begin
    }

    // the first one warms the processes up
    await timed()
    const alone = await timed()
    const before = residentBytes(tunnel)
    const stalled = await Promise.all(Array.from({ length: STALLED }, () => open(long.port)))
    for (const socket of stalled) {
      socket.write('go')
      await readBytes(socket, 1)
    }
    expect(await standstill(long.sent)).toBeLessThan(STALLED * RESUMED_BYTES)
    expect(residentBytes(tunnel) - before).toBeLessThan(GROWTH_LIMIT)
    expect(await timed()).toBeLessThan(4 * alone + 1_000)
    expect(residentBytes(tunnel) - before).toBeLessThan(GROWTH_LIMIT)

    for (const socket of stalled.slice(0, 2)) await readOn(socket, RESUMED_BYTES)
  })
})
