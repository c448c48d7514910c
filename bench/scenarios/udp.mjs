import { SWIFT } from './scenario.mjs'

/** Datagrams offered per second where loss is measured: below what any of the programs reaches. */
const OFFERED = 5_000

/** @type {import('./scenario.mjs').Scenario} */
export const UDP = {
  name: 'udp',
  title: 'UDP, 1 KiB there and back: 64 under way; loss at 5,000 per second',
  modes: ['forward'],
  quickSubjects: [...SWIFT, 'direct'],
  base: 'direct',
  metrics: [
    { name: 'rate', unit: 'datagrams/s', better: 'more' },
    { name: 'loss', unit: '%', better: 'less' },
    { name: 'loss at full rate', unit: '%', better: 'less' },
  ],
  suits: ({ udp }) => udp === true,
  async prepare({ load }) {
    await load('udp', { ms: 100, window: 64 })
  },
  async measure({ load, plan }) {
    const full = await load('udp', { ms: plan.udpMs, window: 64 })
    const offered = await load('udp', { ms: plan.udpMs, rate: OFFERED })
    if (full.received === 0) throw new Error('no datagram came back')
    return {
      rate: full.received / full.seconds,
      loss: (1 - offered.received / offered.sent) * 100,
      'loss at full rate': (1 - full.received / full.sent) * 100,
    }
  },
}
