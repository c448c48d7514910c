import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Scene } from '../support/e2e-scene.js'
import { readBytes, socksConnect } from '../support/e2e-socks.js'
import { echoTarget } from '../support/e2e-targets.js'
import { eventually } from '../support/wait.js'
import { ours, startOurs } from './support/fronted.js'
import { HAPROXY } from './support/haproxy.js'
import { NGINX } from './support/nginx.js'

/** More than the 20 s between two pings of ours. */
const IDLE_SECONDS = 25
/** Long enough for that to cut a link without pings, and for the second round of them. */
const SILENCE_MS = 42_000
const TEST_MS = 120_000

/** Silence takes its time: all of these at once. */
describe.concurrent('a link on which nobody says anything', () => {
  for (const kind of [NGINX, HAPROXY]) {
    const test = it.skipIf(kind.program === undefined)

    test(
      `lives on behind ${kind.name}, which cuts after ${IDLE_SECONDS} s of silence`,
      async ({ onTestFinished }) => {
        const scene = new Scene()
        onTestFinished(() => scene.end())
        const tunnel = await startOurs(scene, 'agent', {
          inFront: async (targetPort) => {
            const front = await kind.start(scene, { targetPort, idleSeconds: IDLE_SECONDS })
            return `ws://127.0.0.1:${front.port}`
          },
        })
        const socket = await socksConnect(scene, tunnel.socksPort, ['127.0.0.1', await echoTarget(scene)])
        await sleep(SILENCE_MS)
        socket.write('still there')
        expect((await readBytes(socket, 11)).toString()).toBe('still there')
        for (const player of [tunnel.provider, tunnel.listener]) expect(ours(player).events('link.down')).toEqual([])
        expect(ours(tunnel.server).events('link.closed')).toEqual([])
      },
      TEST_MS,
    )

    test(
      `is cut by ${kind.name} where its patience is shorter than ours, and comes back`,
      async ({ onTestFinished }) => {
        const scene = new Scene()
        onTestFinished(() => scene.end())
        const { listener, socksPort } = await startOurs(scene, 'forward', {
          inFront: async (targetPort) => {
            const front = await kind.start(scene, { targetPort, idleSeconds: 5 })
            return `ws://127.0.0.1:${front.port}`
          },
        })
        const origin = await echoTarget(scene)
        await ours(listener).event('link.down', { code: 'ERR_LINK_LOST' }, 30_000)
        await eventually('second link', () => ours(listener).events('link.up')[1], 30_000)
        const socket = await socksConnect(scene, socksPort, ['127.0.0.1', origin], { limitMs: 30_000 })
        socket.write('back')
        expect((await readBytes(socket, 4)).toString()).toBe('back')
      },
      TEST_MS,
    )
  }
})
