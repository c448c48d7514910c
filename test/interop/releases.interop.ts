import { describe, expect, it } from 'vitest'
import { freePort } from '../support/ports.js'
import { captureInFront } from './support/capture.js'
import { faultsOf } from './support/captured-rules.js'
import { DEPLOYED } from './support/deployed.js'
import { startClient } from './support/mixed-tunnel.js'
import { ownScene } from './support/own-scene.js'
import { usualActions } from './support/usual-actions.js'

/** Every release with every other. */
const pairs = DEPLOYED.flatMap((provider) =>
  DEPLOYED.filter((listener) => listener !== provider).map((listener) => ({ provider, listener })),
)
const missing = pairs.length === 0 || DEPLOYED.some((deployed) => deployed.missing !== undefined)

describe.skipIf(missing)('our server between two releases', () => {
  it.concurrent.for(pairs)(
    'gives each what it can read: provider $provider.name, client $listener.name',
    async (pair, context) => {
      const scene = ownScene(context)
      const server = await scene.server(['-r', '-t', 'P', '-p', `${await freePort()}`, '-c', 'C'])
      const { inFront, links } = captureInFront(scene)
      const url = await inFront(server.port)
      const socksPort = await freePort()
      await startClient(scene, pair.provider, 'theirs', ['-u', url, '-r', '-t', 'P'])
      await startClient(scene, pair.listener, 'theirs', ['-u', url, '-t', 'C', '-p', `${socksPort}`])
      await usualActions(scene, socksPort)
      expect(links()).toHaveLength(2)
      expect(links().flatMap((link) => faultsOf(link, 'server'))).toEqual([])
    },
  )
})
