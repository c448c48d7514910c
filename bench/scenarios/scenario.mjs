/**
 * @typedef {object} Metric
 * @property {string} name
 * @property {string} unit
 * @property {'more' | 'less'} better
 *
 * @typedef {object} Run One subject of one scenario, with what it takes to measure it.
 * @property {import('../subjects/subject.mjs').Tunnel} tunnel
 * @property {import('../lib/plan.mjs').Plan} plan
 * @property {number} startedMs how long the tunnel took to start
 * @property {(scenario: string, options: Readonly<Record<string, number>>, whileHeld?: () => Promise<void>) => Promise<any>} load
 * @property {() => number} cpuSeconds used by the tunnel's processes so far
 * @property {() => readonly number[]} rssKib of each of the tunnel's programs
 *
 * @typedef {object} Scenario
 * @property {string} name
 * @property {string} title
 * @property {readonly import('../subjects/subject.mjs').Mode[]} modes of the full run; when it is asked for by name, all
 * @property {readonly import('../subjects/subject.mjs').Mode[]} [quickModes] of the quick run, if not the same
 * @property {readonly string[]} [quickSubjects] of the quick run, if not all
 * @property {readonly Metric[]} metrics the first is what the ratio in the table is about
 * @property {string} [base] what it is compared with, if not the relay
 * @property {'process'} [each] with fresh processes for each measurement, in `fewRounds`
 * @property {'long-way' | 'one-core'} [where] over the long way, in `fewRounds`; or with every process on one CPU
 * @property {(subject: import('../subjects/subject.mjs').Subject) => boolean} [suits]
 * @property {(run: Run) => Promise<any>} [prepare] once for each subject, before the rounds
 * @property {(run: Run, prepared: any) => Promise<Record<string, number>>} measure
 */
/** How the names of the scenarios begin that have one CPU for everything. */
export const ONE_CORE = 'one-core'
/** Without the direct connection, which in a quick run only shows once what load generator and origin can do. */
export const TUNNELS = [
  'linksocks',
  'against',
  'noresume',
  'http',
  'observed',
  'policy',
  'wss',
  'tlsrelay',
  'relay',
  'v2ray',
  'ssh',
  'deployed',
]
/** Without the deployed LinkSocks too, which takes long to measure. */
export const SWIFT = TUNNELS.filter((name) => name !== 'deployed')
