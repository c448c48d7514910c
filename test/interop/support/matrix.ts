import { describe } from 'vitest'
import type { Mode } from '../../support/e2e/modes.js'
import { DEPLOYED, type Deployed } from './deployed.js'
import { type Cast, castName, castsOf } from './mixed-tunnel.js'

/** Runs `cell` for every deployed program and every cast of the mode; those of a program that is missing are skipped. */
export function describeCasts(mode: Mode, cell: (deployed: Deployed, cast: Cast) => void): void {
  for (const deployed of DEPLOYED) {
    const run = describe.skipIf(deployed.missing !== undefined)
    for (const cast of castsOf(mode))
      run(`${deployed.name}: ${mode} mode, ${castName(cast)}`, () => cell(deployed, cast))
  }
}
