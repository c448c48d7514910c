import { expect, it } from 'vitest'
import { MODES, type Mode } from '../support/e2e/modes.js'
import type { Scene } from '../support/e2e/scene.js'
import { eventually } from '../support/wait.js'
import { type CapturedLink, captureInFront, type End } from './support/capture.js'
import { faultsOf, namesOf } from './support/captured-rules.js'
import type { Deployed } from './support/deployed.js'
import { describeDeployed, mixedCasts, named } from './support/mixed.js'
import { type Cast, startMixed } from './support/mixed-tunnel.js'
import { ownScene } from './support/own-scene.js'
import { usualActions } from './support/usual-actions.js'

/** What our end of a link has sent when the usual actions are over. */
const USUAL = {
  asking: ['Connect', 'Data', 'Disconnect'],
  answering: ['ConnectResponse', 'Data', 'Disconnect'],
} as const

/** A link on which the other end is theirs. */
interface MixedLink {
  readonly link: CapturedLink
  readonly ours: End
}

function mixedLinks(cast: Cast, links: readonly CapturedLink[]): readonly MixedLink[] {
  return links.flatMap((link) => {
    const client = link.reverse ? cast.provider : cast.listener
    return client === cast.server ? [] : [{ link, ours: client === 'ours' ? 'client' : 'server' }]
  })
}

function isComplete({ link, ours }: MixedLink): boolean {
  const names = namesOf(link, ours)
  const asks = (ours === 'client') !== link.reverse
  return USUAL[asks ? 'asking' : 'answering'].every((name) => names.includes(name))
}

/** Runs a mixed tunnel and gives its mixed links when everything usual has passed. */
async function capture(scene: Scene, deployed: Deployed, mode: Mode, cast: Cast): Promise<readonly MixedLink[]> {
  const { inFront, links } = captureInFront(scene)
  const { socksPort } = await startMixed(scene, deployed, mode, cast, { inFront })
  await usualActions(scene, socksPort)
  const mixed = mixedLinks(cast, links())
  await eventually('message of ours of every usual type', () => mixed.every(isComplete) || undefined)
  return mixed
}

for (const mode of MODES) {
  describeDeployed(`what ours sends in ${mode} mode`, (deployed) => {
    it.concurrent.for(named(mixedCasts(mode)))(
      'is the base protocol and its trailers: %s',
      async ([, cast], context) => {
        const mixed = await capture(ownScene(context), deployed, mode, cast)
        expect(mixed.length).toBeGreaterThan(0)
        expect(mixed.flatMap(({ link, ours }) => faultsOf(link, ours))).toEqual([])
      },
    )
  })
}
