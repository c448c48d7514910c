import { SWIFT } from './scenario.mjs'

/** @type {import('./scenario.mjs').Scenario} */
export const CONNS = {
  name: 'conns',
  title: 'connections, 64 at once, each with one HTTP request',
  modes: ['forward', 'reverse', 'agent'],
  quickModes: ['forward', 'agent'],
  quickSubjects: [...SWIFT, 'direct'],
  metrics: [
    { name: 'rate', unit: 'conn/s', better: 'more' },
    { name: 'p50', unit: 'us', better: 'less' },
    { name: 'cpu', unit: 'CPU-us/conn', better: 'less' },
  ],
  // what is compiled only after thousands of connections runs so from then on
  async prepare({ load, plan }) {
    await load('conns', { at_once: 64, ms: plan.connsMs })
  },
  async measure({ load, plan, cpuSeconds }) {
    const before = cpuSeconds()
    const { count, seconds, p50 } = await load('conns', { at_once: 64, ms: plan.connsMs })
    return { rate: count / seconds, p50, cpu: ((cpuSeconds() - before) * 1e6) / count }
  },
}
