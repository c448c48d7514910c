import { describe } from 'vitest'
import type { Mode } from '../../support/e2e/modes.js'
import { DEPLOYED, type Deployed } from './deployed.js'
import { type Cast, castName, castsOf } from './mixed-tunnel.js'

/** Every deployed program; the cases of those that are missing are skipped. */
export function describeDeployed(what: string, cell: (deployed: Deployed) => void): void {
  for (const deployed of DEPLOYED) {
    const run = describe.skipIf(deployed.missing !== undefined)
    run(`${deployed.name}: ${what}`, () => cell(deployed))
  }
}

/** The casts of a mode in which ours meets theirs. */
export function mixedCasts(mode: Mode): readonly Cast[] {
  return castsOf(mode).filter(({ server, provider, listener }) => {
    const sides = [server, provider, listener].filter((side) => side !== undefined)
    return sides.includes('ours') && sides.includes('theirs')
  })
}

/** Casts with their names, for the title of a table of tests. */
export function named(casts: readonly Cast[]): readonly (readonly [name: string, cast: Cast])[] {
  return casts.map((cast) => [castName(cast), cast])
}
