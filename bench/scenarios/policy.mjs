import { fileURLToPath } from 'node:url'
import { runLoad } from '../lib/tools.mjs'

const JUDGING = fileURLToPath(new URL('../lib/judging.mjs', import.meta.url))
/** How many lists of rules are judged by, each in a part of the time. */
const LISTS = 5

/** @type {import('./scenario.mjs').Scenario} */
export const POLICY = {
  name: 'policy',
  title: 'judging a connection by 1,000 rules, and by those of 1,000 tokens',
  modes: ['forward'],
  suits: ({ name }) => name === 'linksocks',
  metrics: [
    { name: 'worst', unit: 'CPU-us/conn', better: 'less' },
    { name: 'name', unit: 'CPU-us/conn', better: 'less' },
    { name: 'address', unit: 'CPU-us/conn', better: 'less' },
    { name: 'mixed', unit: 'CPU-us/conn', better: 'less' },
    { name: 'ports', unit: 'CPU-us/conn', better: 'less' },
    { name: 'tokens', unit: 'CPU-us/conn', better: 'less' },
  ],
  async measure({ plan }) {
    const program = { kind: /** @type {const} */ ('Node'), load: [process.execPath, JUDGING], origin: [] }
    const costs = await runLoad(program, 'judge', { ms: plan.connsMs / LISTS }, plan.limitMs)
    return { worst: Math.max(...Object.values(costs)), ...costs }
  },
}
