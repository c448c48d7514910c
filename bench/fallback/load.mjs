// The same as native/load.c and the scenarios beside it, in Node. Dearer: the figures of one run only.

import { bulk } from './bulk.mjs'
import { copy } from './copy.mjs'
import { channels, conns, echo } from './small.mjs'
import { udp } from './udp.mjs'

const SCENARIOS = { bulk, echo, conns, channels, udp, copy }

const name = process.argv[2] ?? ''
const scenario = Object.entries(SCENARIOS).find(([one]) => one === name)?.[1]
if (scenario === undefined) throw new Error('no such scenario')
try {
  console.log(JSON.stringify(await scenario()))
  process.exit(0)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
