import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { sceneOfTest } from '../support/e2e-scene.js'
import { type CutScene, cutAtRandom, startCutScene } from './cut-scene.js'
import { seeded } from './random.js'
import { content, MB, startTransfer, type Transfer, transferTarget } from './transfer.js'

// what a cut costs is up to the client's delays before it connects again, which are random
vi.setConfig({ testTimeout: 60_000 })
const LIMIT_MS = 50_000
const CUTS = 20
/** Bytes a second and direction: so slow that all cuts fall inside the transfers. */
const RATE = 10 * MB
const FAST_PINGS = ['--ping-interval', '300ms', '--ping-timeout', '1s']

describe.each(['forward', 'agent'] as const)('streams in %s mode', (mode) => {
  const scene = sceneOfTest()

  /** A download and an upload beside each other. */
  async function startBoth({ socksPort }: CutScene, bytes: number): Promise<readonly Transfer[]> {
    const body = content(bytes)
    const target = await transferTarget(scene, body, LIMIT_MS)
    const plan = { socksPort, target, body, limitMs: LIMIT_MS }
    return [await startTransfer(scene, plan, 'download'), await startTransfer(scene, plan, 'upload')]
  }

  async function expectWhole(transfers: readonly Transfer[]): Promise<void> {
    expect(await Promise.all(transfers.map(({ result }) => result))).toEqual(['whole', 'whole'])
    expect(await Promise.all(transfers.map((transfer) => transfer.stillOpen()))).toEqual([true, true])
  }

  it(`of 40 MB are whole after ${CUTS} cuts, and stay open`, async () => {
    const tunnel = await startCutScene(scene, mode, { path: { rate: RATE } })
    const transfers = await startBoth(tunnel, 40 * MB)
    let done = 0
    for (const { result } of transfers) void result.then(() => (done += 1))
    await cutAtRandom(tunnel, { times: CUTS, random: seeded(mode.length), pauseMs: [0, 100] })
    expect(done).toBe(0)
    await expectWhole(transfers)
    expect(tunnel.server.events('link.resumed').length).toBe(CUTS)
  })

  it('are whole when packets vanish until both ends give the link up', async () => {
    const tunnel = await startCutScene(scene, mode, { path: { rate: RATE }, args: FAST_PINGS })
    const transfers = await startBoth(tunnel, 10 * MB)
    await sleep(300)
    for (const relay of tunnel.relays) relay.drop()
    for (const process of [tunnel.server, ...tunnel.clients]) {
      const event = process === tunnel.server ? 'link.suspended' : 'link.down'
      await process.event(event, { code: 'ERR_LINK_TIMEOUT' })
    }
    await sleep(500)
    for (const relay of tunnel.relays) relay.heal()
    await expectWhole(transfers)
  })

  it('are whole, on the same link, after a standstill shorter than --ping-timeout', async () => {
    const tunnel = await startCutScene(scene, mode, { path: { rate: RATE } })
    const transfers = await startBoth(tunnel, 5 * MB)
    await sleep(100)
    for (const relay of tunnel.relays) relay.stall()
    await sleep(1_000)
    for (const relay of tunnel.relays) relay.go()
    await expectWhole(transfers)
    expect(tunnel.server.events('link.suspended')).toEqual([])
  })
})
