import { describe, expect, it } from 'vitest'
import { withScene } from '../support/beside.js'
import type { Scene } from '../support/e2e/scene.js'
import { until, untilStill } from '../support/wait.js'
import { type CutScene, cutAtRandom, startCutScene } from './cut-scene.js'
import { seeded } from './fuzz/random.js'
import { content, MB, startTransfer, type Transfer, transferTarget } from './transfer.js'

const CUTS = 20
/** Bytes between two cuts; the most that all of them need is less than the transfers have. */
const BETWEEN_CUTS = [0, 1.8 * MB] as const
/** Bytes a second and direction: so slow that there is always something on its way. */
const RATE = 40 * MB
const FAST_PINGS = ['--ping-interval', '300ms', '--ping-timeout', '1s']

/** A download and an upload beside each other; the last of each follows `end`. */
async function startBoth(
  scene: Scene,
  { socksPort }: CutScene,
  bytes: number,
  end?: Promise<unknown>,
): Promise<{ transfers: readonly Transfer[]; sent: () => number }> {
  const body = content(bytes)
  const { port: target, sent } = await transferTarget(scene, body, end)
  const plan = { socksPort, target, body, ...(end && { end }) }
  return { sent, transfers: [await startTransfer(scene, plan, 'download'), await startTransfer(scene, plan, 'upload')] }
}

async function expectWhole(transfers: readonly Transfer[]): Promise<void> {
  expect(await Promise.all(transfers.map(({ result }) => result))).toEqual(['whole', 'whole'])
  expect(await Promise.all(transfers.map((transfer) => transfer.stillOpen()))).toEqual([true, true])
}

/** Something of the transfers is on its way over each hop. */
async function underWay({ relays }: CutScene): Promise<void> {
  await Promise.all(relays.map((relay) => relay.passed(MB)))
}

// they mostly wait, for the delays before a client connects again and for time-outs; all six share the machine
describe.concurrent.each(['forward', 'agent'] as const)('streams in %s mode', { timeout: 120_000 }, (mode) => {
  it(
    `of 40 MB are whole after ${CUTS} cuts, and stay open`,
    withScene(async (scene) => {
      const tunnel = await startCutScene(scene, mode, { path: { rate: RATE } })
      let release = (): void => {}
      const end = new Promise<void>((resolve) => {
        release = resolve
      })
      const { transfers } = await startBoth(scene, tunnel, 40 * MB, end)
      await cutAtRandom(tunnel, { times: CUTS, random: seeded(mode.length), bytes: BETWEEN_CUTS })
      release()
      await expectWhole(transfers)
      await until(() => tunnel.server.events('link.resumed').length >= CUTS)
      expect(tunnel.server.events('link.resumed').length).toBe(CUTS)
    }),
  )

  it(
    'are whole when packets vanish until both ends give the link up',
    withScene(async (scene) => {
      const tunnel = await startCutScene(scene, mode, { path: { rate: 10 * MB }, args: FAST_PINGS })
      const { transfers } = await startBoth(scene, tunnel, 10 * MB)
      await underWay(tunnel)
      for (const relay of tunnel.relays) relay.drop()
      for (const process of [tunnel.server, ...tunnel.clients]) {
        const event = process === tunnel.server ? 'link.suspended' : 'link.down'
        await process.event(event, { code: 'ERR_LINK_TIMEOUT' })
      }
      // each client has tried in vain: what comes new is reset
      for (const client of tunnel.clients) await client.event('link.retry', { code: 'ERR_CONNECT' })
      for (const relay of tunnel.relays) relay.heal()
      await expectWhole(transfers)
    }),
  )

  it(
    'are whole, on the same link, after a standstill shorter than --ping-timeout',
    withScene(async (scene) => {
      const tunnel = await startCutScene(scene, mode, { path: { rate: 10 * MB } })
      const { transfers, sent } = await startBoth(scene, tunnel, 5 * MB)
      await underWay(tunnel)
      for (const relay of tunnel.relays) relay.stall()
      await until(() => tunnel.relays.every(({ held }) => held === 2))
      await untilStill(sent)
      for (const relay of tunnel.relays) relay.go()
      await expectWhole(transfers)
      expect(tunnel.server.events('link.suspended')).toEqual([])
    }),
  )
})
