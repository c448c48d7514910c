import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, it } from 'vitest'
import { sceneOfSuite } from '../../support/e2e/scene.js'
import type { Deployed } from '../support/deployed.js'
import { castName, castsOf, startMixed } from '../support/mixed-tunnel.js'
import { expectBulk, expectInteractive, expectParallel, expectUdp } from '../support/transport-checks.js'

const MB = 1024 * 1024
const program = fileURLToPath(new URL('../.venv/pywssocks/bin/pywssocks', import.meta.url))
/** The first LinkSocks, in Python alone: its installations have the same tokens and URLs as the later ones. */
const PYWSSOCKS: Deployed = { name: 'pywssocks 1.5.1', command: [program] }

for (const mode of ['forward', 'reverse', 'agent'] as const) {
  const mixed = castsOf(mode).filter((cast) => Object.values(cast).includes('ours'))
  describe.skipIf(!existsSync(program)).each(mixed.map((cast) => ({ cast, who: castName(cast) })))(
    `${PYWSSOCKS.name}: ${mode} mode, $who`,
    ({ cast }) => {
      const scene = sceneOfSuite()
      let socksPort = 0
      beforeAll(async () => {
        socksPort = (await startMixed(scene, PYWSSOCKS, mode, cast)).socksPort
      })

      it('carries 4 MB both ways', () => expectBulk(scene, socksPort, randomBytes(4 * MB)))
      it('carries small exchanges', () => expectInteractive(scene, socksPort))
      it('carries datagrams', () => expectUdp(scene, socksPort))
      it('carries parallel connections', () => expectParallel(scene, socksPort, 20))
    },
  )
}
