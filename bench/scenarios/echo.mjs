import { SWIFT } from './scenario.mjs'

/** @typedef {import('./scenario.mjs').Scenario} Scenario */

/** @type {Scenario} */
const idle = {
  name: 'echo-idle',
  title: 'echo of 64 bytes, nothing else on the link',
  modes: ['forward', 'reverse', 'agent'],
  quickModes: ['forward', 'agent'],
  metrics: [
    { name: 'p50', unit: 'us', better: 'less' },
    { name: 'p99', unit: 'us', better: 'less' },
  ],
  async prepare({ load }) {
    await load('echo', { ms: 200, warm: 0 })
  },
  async measure({ load, plan }) {
    const { p50, p99 } = await load('echo', { ms: plan.echoMs, warm: 20, enough: plan.echoes })
    return { p50, p99 }
  },
}

/**
 * @param {number} streams
 * @returns {Scenario}
 */
const beside = (streams) => ({
  name: `echo-bulk-${streams}`,
  title: `echo of 64 bytes beside ${streams} download${streams > 1 ? 's' : ''}`,
  modes: ['forward', 'agent'],
  quickModes: ['forward'],
  quickSubjects: SWIFT,
  metrics: [
    { name: 'p99', unit: 'us', better: 'less' },
    { name: 'p50', unit: 'us', better: 'less' },
    { name: 'bulk', unit: 'GB/s', better: 'more' },
    { name: 'echoes', unit: '', better: 'more' },
  ],
  async measure({ load, plan }) {
    const { p50, p99, bulk, count } = await load('echo', {
      ms: plan.echoMs,
      bulk: streams,
      enough: plan.echoes,
      warm: plan.quick ? 150 : 500,
    })
    return { p99, p50, bulk, echoes: count }
  },
})

export const ECHO = [idle, beside(1), beside(8)]
