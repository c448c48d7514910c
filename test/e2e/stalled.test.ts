import { randomFillSync } from 'node:crypto'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { api, type Mode, startTunnel, type Tunnel } from '../support/e2e/modes.js'
import { type Scene, type ServerProcess, sceneOfTest, sha256 } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { download, httpOrigin, longAnswer } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { until, untilStill } from '../support/wait.js'

const MB = 1024 * 1024
const STALLED = 20
const LONG_BYTES = 400 * MB
/** The processes together may grow by this while the downloads stand still. */
const GROWTH_LIMIT = 150 * MB
/** What a target must get rid of anew to show that a download goes on. */
const RESUMED_BYTES = 4 * MB
/** The download beside the stalled ones must finish before this many downloads over a separate tunnel do. */
const OVERTAKING_LIMIT = 10

const content = randomFillSync(Buffer.alloc(16 * MB))
const digest = sha256(content)

function residentBytes({ processes }: Tunnel): number {
  return processes.reduce((sum, process) => sum + process.residentBytes(), 0)
}

/** A SOCKS5 port from which a way leads that has nothing in common with the tunnel but the server. */
async function ownWay(scene: Scene, mode: Mode, server: ServerProcess): Promise<number> {
  if (mode === 'forward') return (await scene.listener(server.url, ['-t', 'F'])).socksPort
  const added = [
    await api(server, 'POST', 'token', { type: 'reverse', token: 'Q', port: await freePort() }),
    await api(server, 'POST', 'token', { type: 'connector', token: 'D', reverse_token: 'Q' }),
  ]
  expect(added.map(({ status }) => status)).toEqual([200, 200])
  await scene.provider(server.url, ['-t', 'Q'])
  return (await scene.listener(server.url, ['-t', 'D'])).socksPort
}

/** How many runs of `other`, one after the other, are through before `one` is; no more than the limit. */
async function overtakers(one: Promise<unknown>, other: () => Promise<unknown>): Promise<number> {
  let over = false
  const done = (): void => {
    over = true
  }
  void one.then(done, done)
  let count = 0
  for (; !over && count < OVERTAKING_LIMIT; count += 1) await other()
  await one
  return count
}

async function firstByte(socket: Socket): Promise<void> {
  socket.write('go')
  await readBytes(socket, 1)
}

/** Reads on and forgets what it reads until the target has sent so much more. */
async function readOn(socket: Socket, sent: () => number): Promise<void> {
  const enough = sent() + RESUMED_BYTES
  socket.on('data', () => {})
  await until(() => sent() >= enough)
  socket.pause()
}

describe.each(['forward', 'agent'] as const)('20 stalled downloads of 400 MB in %s mode', (mode) => {
  const scene = sceneOfTest()

  it('cost little memory, slow no other down, and go on when they are read', async () => {
    const tunnel = await startTunnel(scene, mode)
    const ownPort = await ownWay(scene, mode, tunnel.server)
    const origin = await httpOrigin(scene, content)
    const long = await longAnswer(scene, LONG_BYTES)
    const open = (port: number): Promise<Socket> => socksConnect(scene, tunnel.socksPort, ['127.0.0.1', port])
    const whole = async (socket: Socket): Promise<void> => expect(await download(socket)).toBe(digest)

    // warms the processes up
    await whole(await open(origin))
    const before = residentBytes(tunnel)
    const stalled = await Promise.all(Array.from({ length: STALLED }, () => open(long.port)))
    await Promise.all(stalled.map((socket) => firstByte(socket)))
    await untilStill(long.sent)
    expect(long.sent()).toBeLessThan((STALLED * LONG_BYTES) / 2)
    expect(residentBytes(tunnel) - before).toBeLessThan(GROWTH_LIMIT)
    const beside = whole(await open(origin))
    const byItself = async () => whole(await socksConnect(scene, ownPort, ['127.0.0.1', origin]))
    expect(await overtakers(beside, byItself)).toBeLessThan(OVERTAKING_LIMIT)
    expect(residentBytes(tunnel) - before).toBeLessThan(GROWTH_LIMIT)

    for (const socket of stalled.slice(0, 2)) {
      await readOn(socket, long.sent)
      await untilStill(long.sent)
    }
  })
})
