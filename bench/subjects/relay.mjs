import { fileURLToPath } from 'node:url'
import { freePort, Program } from '../lib/processes.mjs'

const HOP = fileURLToPath(new URL('./relay-hop.mjs', import.meta.url))
const HOPS = { forward: 2, reverse: 2, agent: 3 }

/**
 * What any tunnel in Node is measured by: as many processes in a row, each of which does no more than `pipe`.
 *
 * @type {import('./subject.mjs').Subject}
 */
export const relay = {
  name: 'relay',
  title: 'plain Node relay',
  modes: ['forward', 'reverse', 'agent'],
  version: process.version,
  async start(mode, wires) {
    const programs = []
    let to = wires.origin
    for (let hop = HOPS[mode]; hop > 0; hop--) {
      const port = await freePort()
      const program = new Program(`relay hop ${hop}`, [process.execPath, HOP, `${port}`, `${to}`])
      programs.push(program)
      await program.accepts(port)
      // the long way lies between the first two hops
      to = hop === 2 ? await wires.before(port) : port
    }
    return { programs, port: to, socks: false, processes: HOPS[mode] }
  },
}
