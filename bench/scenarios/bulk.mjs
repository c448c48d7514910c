import { TUNNELS } from './scenario.mjs'

/** @typedef {import('./scenario.mjs').Scenario} Scenario */

const MIB = 1_048_576
/** Less than that is over before a tunnel is warm. */
const LEAST = 16 * MIB
/** Sent over the long way first. */
const PROBE = 10 * MIB
const MOST = 8_192 * MIB
const WAYS = /** @type {const} */ (['down', 'up'])

/**
 * As many bytes as take about the planned time: a first transfer, of which every byte is compared, tells how many, and
 * a second one, of a warm tunnel, how many it really is.
 *
 * @param {{ load: import('./scenario.mjs').Run['load'], options: { up: number, streams: number }, least: number, ms: number }} wanted
 */
async function bytesFor({ load, options, least, ms }) {
  const inTime = (/** @type {{ bytes: number, seconds: number }} */ { bytes, seconds }) =>
    Math.max(least, Math.min(((bytes / seconds) * ms) / 1_000, MOST))
  const first = inTime(await load('bulk', { ...options, bytes: least, whole: 1 }))
  return first === least ? least : inTime(await load('bulk', { ...options, bytes: Math.max(least, first / 2) }))
}

/**
 * @param {0 | 1} up
 * @param {number} streams
 * @returns {Scenario}
 */
const bulk = (up, streams) => {
  const options = { up, streams }
  return {
    name: `bulk-${WAYS[up]}-${streams}`,
    title: `bulk ${WAYS[up]}, ${streams} stream${streams > 1 ? 's' : ''}`,
    modes: ['forward', 'reverse', 'agent'],
    quickModes: streams === 1 ? ['forward', 'reverse', 'agent'] : ['forward', 'agent'],
    ...(up === 0 && streams === 1 ? {} : { quickSubjects: TUNNELS }),
    metrics: [
      { name: 'rate', unit: 'GB/s', better: 'more' },
      { name: 'cpu', unit: 'CPU-s/GB', better: 'less' },
      ...(streams > 1 ? [/** @type {const} */ ({ name: 'slowest/fastest', unit: '', better: 'more' })] : []),
    ],
    prepare: ({ load, plan }) => bytesFor({ load, options, least: LEAST, ms: plan.bulkMs }),
    async measure({ load, cpuSeconds }, bytes) {
      const before = cpuSeconds()
      const result = await load('bulk', { ...options, bytes })
      const gigabytes = result.bytes / 1e9
      return {
        rate: gigabytes / result.seconds,
        cpu: (cpuSeconds() - before) / gigabytes,
        ...(streams > 1 && { 'slowest/fastest': result.fair }),
      }
    },
  }
}

export const BULK = [bulk(0, 1), bulk(1, 1), bulk(0, 8), bulk(1, 8)]

/**
 * @param {0 | 1} up
 * @returns {Scenario}
 */
const longWay = (up) => ({
  name: `rtt100-${WAYS[up]}`,
  title: `one stream ${WAYS[up]} over 100 ms and 1 Gbit/s`,
  modes: ['forward'],
  quickSubjects: ['linksocks', 'against', 'direct'],
  base: 'direct',
  where: 'long-way',
  metrics: [
    { name: 'rate', unit: 'Mbit/s', better: 'more' },
    ...(up === 0 ? [/** @type {const} */ ({ name: 'second half', unit: 'Mbit/s', better: 'more' })] : []),
  ],
  prepare: ({ load, plan }) => bytesFor({ load, options: { up, streams: 1 }, least: PROBE, ms: plan.longWayMs }),
  async measure({ load }, bytes) {
    const result = await load('bulk', { up, bytes })
    return {
      rate: (result.bytes * 8) / 1e6 / result.seconds,
      // of an upload it is not known when half of it was there
      ...(up === 0 && { 'second half': (result.bytes * 4) / 1e6 / result.secondHalfSeconds }),
    }
  },
})

export const LONG_WAY = [longWay(0), longWay(1)]
