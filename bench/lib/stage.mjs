import { fileURLToPath } from 'node:url'
import { cpusOf } from './one-cpu.mjs'
import { cpuSeconds, family, rssKib } from './proc.mjs'
import { freePort, Program } from './processes.mjs'
import { runLoad } from './tools.mjs'

/**
 * @typedef {import('../subjects/subject.mjs').Subject} Subject
 * @typedef {import('../subjects/subject.mjs').Mode} Mode
 * @typedef {import('../scenarios/scenario.mjs').Run} Run
 *
 * @typedef {object} Site What all measurements of a run share.
 * @property {import('./tools.mjs').Tools} tools
 * @property {number} origin
 * @property {import('./plan.mjs').Plan} plan
 * @property {string} [cpu] the only one that anything may run on
 *
 * @typedef {object} Standing A tunnel that runs.
 * @property {Run} run
 * @property {() => string | undefined} died why one of its processes is gone
 * @property {() => Promise<void>} end
 */

const DELAY_HOP = fileURLToPath(new URL('./delay-hop.mjs', import.meta.url))
const ONE_WAY_MS = 50
const MBIT = 1_000

/**
 * @param {Site} site
 * @param {Subject} subject
 * @param {Mode} mode
 * @param {boolean} longWay whether 100 ms lie between its two sides
 * @returns {Promise<Standing>}
 */
export async function stand({ tools, origin, plan, cpu }, subject, mode, longWay) {
  /** @type {Program[]} */
  const hops = []
  const before = async (/** @type {number} */ to) => {
    if (!longWay) return to
    const port = await freePort()
    const hop = new Program('the long way', [
      process.execPath,
      DELAY_HOP,
      `${port}`,
      `${to}`,
      `${ONE_WAY_MS}`,
      `${MBIT}`,
    ])
    hops.push(hop)
    await hop.accepts(port)
    return port
  }
  const end = (/** @type {readonly Program[]} */ programs) => Promise.all(programs.map((program) => program.end()))
  const began = performance.now()
  const tunnel = await subject.start(mode, { origin, before }).catch(async (error) => {
    await end(hops)
    throw error
  })
  const { onlookers = [] } = tunnel
  const pids = () => family(tunnel.programs.map(({ pid }) => pid))
  const elsewhere =
    cpu === undefined
      ? undefined
      : pids()
          .map(cpusOf)
          .find((cpus) => cpus !== '' && cpus !== cpu)
  if (elsewhere !== undefined) {
    await end([...onlookers, ...tunnel.programs, ...hops])
    throw new Error(`a process of ${subject.name} runs on the CPUs ${elsewhere}`)
  }
  const behind = tunnel.http === true ? { origin, http: 1 } : { origin }
  const route = tunnel.socks ? { port: tunnel.port, ...behind } : { port: tunnel.port }
  /** @type {Run} */
  const run = {
    tunnel,
    plan,
    startedMs: performance.now() - began,
    load: (scenario, options, whileHeld) => runLoad(tools, scenario, { ...route, ...options }, plan.limitMs, whileHeld),
    cpuSeconds: () => cpuSeconds(pids()),
    rssKib: () => tunnel.programs.map(({ pid }) => family([pid]).reduce((sum, one) => sum + rssKib(one), 0)),
  }
  return {
    run,
    died: () => [...tunnel.programs, ...onlookers, ...hops].find(({ died }) => died !== undefined)?.died,
    async end() {
      await end([...onlookers, ...tunnel.programs, ...hops])
    },
  }
}
