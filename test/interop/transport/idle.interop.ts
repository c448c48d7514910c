import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { PING_INTERVAL_MS } from '../../../src/protocol/limits.js'
import { readBytes, socksConnect } from '../../support/e2e/socks.js'
import { echoTarget } from '../../support/e2e/targets.js'
import { eventually } from '../../support/wait.js'
import { echoAttempts } from '../support/exchanges.js'
import { ownScene } from '../support/own-scene.js'
import { ours, startOurs } from '../support/proxies/fronted.js'
import { HAPROXY } from '../support/proxies/haproxy.js'
import { NGINX } from '../support/proxies/nginx.js'

const PINGS = ['--ping-interval', '2s']
/** Far more than that: programs that don't get to run for a while must not look silent. */
const IDLE_SECONDS = 15
/** Long enough for that to cut a link without pings. */
const SILENCE_MS = (IDLE_SECONDS + 2) * 1_000
/** What nginx waits where nobody tells it: the shortest of what people have in front of a server. */
const USUAL_IDLE_MS = 60_000

/** Silence takes its time: all of these at once. */
describe.concurrent('a link on which nobody says anything', () => {
  for (const kind of [NGINX, HAPROXY]) {
    const test = it.skipIf(kind.program === undefined)

    test(`lives on behind ${kind.name}, which cuts after ${IDLE_SECONDS} s of silence`, async (context) => {
      const scene = ownScene(context)
      const tunnel = await startOurs(scene, 'agent', {
        serverArgs: PINGS,
        providerArgs: PINGS,
        listenerArgs: PINGS,
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
    })

    test(`is cut by ${kind.name} where its patience is shorter than ours, and comes back`, async (context) => {
      const scene = ownScene(context)
      const { listener, socksPort } = await startOurs(scene, 'forward', {
        inFront: async (targetPort) => {
          const front = await kind.start(scene, { targetPort, idleSeconds: 3 })
          return `ws://127.0.0.1:${front.port}`
        },
      })
      const origin = await echoTarget(scene)
      await ours(listener).event('link.down', { code: 'ERR_LINK_LOST' })
      await eventually('second link', () => ours(listener).events('link.up')[1])
      // again, if it is cut meanwhile
      await eventually('echo', echoAttempts(scene, socksPort, ['127.0.0.1', origin], 'back'))
    })
  }
})

it('asks often enough for what is usually in front of a server', () => {
  expect(PING_INTERVAL_MS).toBeLessThan(USUAL_IDLE_MS / 2)
})
