/**
 * What judging costs: `node judging.mjs judge ms=1000` prints microseconds of CPU time for a connection, which is judged twice: what was
 * asked for, before the look-up, and the address after it.
 */
import { addressRules, FIRST_PORT, MOST_RULES, mixedRules, nameRules, portRules, UNKNOWN } from './policies.mjs'

/**
 * @typedef {{ judgeAsked: (target: object, protocol: string) => unknown, judge: (asked: string, address: object, protocol: string) => unknown }} Engine
 */

const { EgressRules } = await import(new URL('../../dist/policy/egress-rules.js', import.meta.url).href)
const TOKENS = 1_000
/** Of each token but for the measured one. */
const FEW_RULES = 50
/** Connections between two looks at the clock. */
const BATCH = 1_000
/** Before anything is measured: it is compiled by then. */
const WARM = 50_000

const ms = Number(process.argv.find((part) => part.startsWith('ms='))?.slice(3) ?? 1_000)

/**
 * @param {readonly Engine[]} engines in turn
 * @param {string} asked
 * @param {string} host
 * @param {number} [ports] how many are asked for in turn
 */
function cost(engines, asked, host, ports = 1) {
  const run = (/** @type {number} */ limitMs, least = 0) => {
    const before = process.cpuUsage()
    let count = 0
    for (const until = Date.now() + limitMs; count < least || Date.now() < until; count += BATCH) {
      for (let i = 0; i < BATCH; i++) {
        const engine = engines[(count + i) % engines.length]
        const port = FIRST_PORT + ((count + i) % ports)
        engine?.judgeAsked({ host: asked, port }, 'tcp')
        engine?.judge(asked, { host, port }, 'tcp')
      }
    }
    const { user, system } = process.cpuUsage(before)
    return (user + system) / count
  }
  run(0, WARM)
  return run(ms)
}

const only = (/** @type {readonly object[]} */ rules) => [new EgressRules(rules, 'allow')]
const { name, ipv4, ipv6 } = UNKNOWN
const costs = {
  name: cost(only(nameRules()), name, ipv4),
  address: cost(only(addressRules()), ipv6, ipv6),
  mixed: cost(only(mixedRules(MOST_RULES)), name, ipv6),
  ports: cost(only(portRules()), name, ipv4, MOST_RULES),
  tokens: cost(
    Array.from({ length: TOKENS }, () => new EgressRules(mixedRules(FEW_RULES), 'allow')),
    name,
    ipv4,
  ),
}
console.log(JSON.stringify(costs))
