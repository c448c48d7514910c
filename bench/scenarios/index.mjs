import { BULK, LONG_WAY } from './bulk.mjs'
import { CONNS } from './conns.mjs'
import { ECHO } from './echo.mjs'
import { MEMORY } from './memory.mjs'
import { ON_ONE_CORE } from './one-core.mjs'
import { POLICY } from './policy.mjs'
import { UDP } from './udp.mjs'

/** @type {readonly import('./scenario.mjs').Scenario[]} */
export const SCENARIOS = [...BULK, ...ECHO, CONNS, POLICY, UDP, ...LONG_WAY, ...ON_ONE_CORE, ...MEMORY]
