import type { Mode } from '../../../support/e2e/modes.js'
import { LinksocksProcess } from '../../../support/e2e/process.js'
import type { Scene } from '../../../support/e2e/scene.js'
import type { Deployed } from '../deployed.js'
import { type Cast, type MixedOptions, type MixedTunnel, type Player, startMixed } from '../mixed-tunnel.js'

const NOBODY: Deployed = { name: 'nobody', command: [] }
const SERVER = { server: 'ours' } as const
const CASTS: Readonly<Record<Mode, Cast>> = {
  forward: { ...SERVER, listener: 'ours' },
  reverse: { ...SERVER, provider: 'ours' },
  agent: { ...SERVER, provider: 'ours', listener: 'ours' },
  autonomy: { ...SERVER, provider: 'ours', listener: 'ours' },
}

/** A tunnel of ours alone; `options.inFront` puts something between its clients and its server. */
export function startOurs(scene: Scene, mode: Mode, options: MixedOptions = {}): Promise<MixedTunnel> {
  return startMixed(scene, NOBODY, mode, CASTS[mode], options)
}

/** A player with its log. */
export function ours(player: Player | undefined): LinksocksProcess {
  if (player instanceof LinksocksProcess) return player
  throw new Error('not a program of ours')
}
