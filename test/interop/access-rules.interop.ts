import { expect, it } from 'vitest'
import { MODES, type Mode } from '../support/e2e/modes.js'
import { CONNECT, socksRequest } from '../support/e2e/socks.js'
import { echoTarget } from '../support/e2e/targets.js'
import type { Deployed } from './support/deployed.js'
import { echoed } from './support/exchanges.js'
import { describeDeployed, mixedCasts, named } from './support/mixed.js'
import { type Cast, type MixedOptions, startMixed } from './support/mixed-tunnel.js'
import { ownScene } from './support/own-scene.js'

/** Whose command line has the rule. */
const PLACES = ['server', 'provider', 'listener'] as const
type Place = (typeof PLACES)[number]

/** Where a rule of that place has a say: a server with connectors limits its own SOCKS port, and none of theirs. */
const holds = (mode: Mode, place: Place): boolean => place !== 'server' || mode === 'forward' || mode === 'reverse'

/** Release 1.8 has no rules. */
const knowsRules = ({ name }: Deployed): boolean => name !== 'linksocks 1.8.9'

const ruled = (place: Place, args: readonly string[]): MixedOptions => {
  if (place === 'server') return { serverArgs: args }
  return place === 'provider' ? { providerArgs: args } : { listenerArgs: args }
}

/** What the application sees: ours says that a rule refused it (RFC 1928, REP 02), theirs most often that the host is unreachable. */
const replies = (mode: Mode, { server, listener }: Cast): readonly number[] =>
  (mode === 'reverse' ? server : listener) === 'ours' ? [2] : [2, 4]

for (const mode of MODES) {
  describeDeployed(`access rules in ${mode} mode`, (deployed) => {
    for (const place of PLACES.filter((one) => holds(mode, one))) {
      const casts = mixedCasts(mode).filter((cast) => {
        const side = cast[place]
        return side !== undefined && (side === 'ours' || knowsRules(deployed))
      })
      if (casts.length === 0) continue
      it.concurrent.for(named(casts))(`of the ${place} let through one port: %s`, async ([, cast], context) => {
        const scene = ownScene(context)
        const [open, closed] = [await echoTarget(scene), await echoTarget(scene)]
        const options = ruled(place, ['--access-rule', `127.0.0.0/8:${open}`])
        const { socksPort } = await startMixed(scene, deployed, mode, cast, options)
        expect(await echoed(scene, socksPort, ['127.0.0.1', open], 'let through')).toBe('let through')
        const { rep } = await socksRequest(scene, socksPort, CONNECT, ['127.0.0.1', closed])
        expect(replies(mode, cast)).toContain(rep)
        expect(await echoed(scene, socksPort, ['127.0.0.1', open], 'still')).toBe('still')
      })
    }
  })
}
