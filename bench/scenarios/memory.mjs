import { setTimeout as sleep } from 'node:timers/promises'

/** @typedef {import('./scenario.mjs').Scenario} Scenario */

/** The origin and its relay hop each need two descriptors for a channel, besides a few of their own. */
const DESCRIPTORS_FOR_10_000 = 20_200

const METRICS = /** @type {const} */ ([
  { name: 'mean', unit: 'KiB/channel/process', better: 'less' },
  { name: 'largest', unit: 'KiB/channel', better: 'less' },
])

/**
 * What channels add to the resident memory, some time after they were opened and used.
 *
 * @param {import('./scenario.mjs').Run} run
 * @param {{ count: number, use: number, waitMs: number }} options
 */
async function grown({ load, rssKib, tunnel }, { count, use, waitMs }) {
  // what the first connections load and allocate belongs to the process
  await load('conns', { at_once: 16, ms: 300 })
  await sleep(Math.min(waitMs, 1_000))
  const before = rssKib()
  /** @type {readonly number[]} */
  let after = []
  const { alive } = await load('channels', { count, use }, async () => {
    await sleep(waitMs)
    after = rssKib()
  })
  if (alive !== count) throw new Error(`${alive} of ${count} channels are alive`)
  const each = after.map((kib, index) => (kib - (before[index] ?? 0)) / count)
  return { mean: each.reduce((sum, kib) => sum + kib, 0) / tunnel.processes, largest: Math.max(...each) }
}

/** @type {Scenario} */
const idle = {
  name: 'idle-channels',
  title: 'idle channels: memory of each',
  modes: ['forward', 'agent'],
  quickModes: ['forward'],
  quickSubjects: ['linksocks', 'against', 'relay'],
  each: 'process',
  metrics: METRICS,
  // ssh takes longer for each channel the more there are: thousands take minutes
  suits: ({ name }) => name !== 'direct' && name !== 'ssh',
  async measure(run) {
    const { plan } = run
    const count = !plan.quick && plan.descriptors >= DESCRIPTORS_FOR_10_000 ? 10_000 : plan.idleChannels
    return grown(run, { count, use: 1, waitMs: plan.idleWaitMs })
  },
}

/** @type {Scenario} */
const used = {
  name: 'used-channels',
  title: 'channels that echoed 512 KiB and are idle since: memory of each',
  modes: ['forward', 'agent'],
  quickModes: ['forward'],
  quickSubjects: ['linksocks', 'against', 'relay'],
  each: 'process',
  metrics: METRICS,
  suits: ({ name }) => name !== 'direct',
  async measure(run) {
    return grown(run, { count: run.plan.usedChannels, use: 524_288, waitMs: run.plan.usedWaitMs })
  },
}

/** @type {Scenario} */
const start = {
  name: 'start',
  title: 'start of all processes to the first byte; memory of each then',
  modes: ['forward', 'reverse', 'agent'],
  quickModes: ['forward'],
  each: 'process',
  metrics: [
    { name: 'first byte', unit: 'ms', better: 'less' },
    { name: 'rss mean', unit: 'MB/process', better: 'less' },
    { name: 'rss largest', unit: 'MB', better: 'less' },
  ],
  suits: ({ name }) => name !== 'direct',
  async measure({ load, rssKib, startedMs, tunnel, plan }) {
    const began = performance.now()
    await load('conns', { at_once: 1, ms: 0 })
    const firstByte = startedMs + performance.now() - began
    await sleep(Math.min(plan.idleWaitMs, 2_000))
    const megabytes = rssKib().map((kib) => (kib * 1_024) / 1e6)
    return {
      'first byte': firstByte,
      'rss mean': megabytes.reduce((sum, value) => sum + value, 0) / tunnel.processes,
      'rss largest': Math.max(...megabytes),
    }
  },
}

export const MEMORY = [start, idle, used]
