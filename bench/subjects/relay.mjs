import { fileURLToPath } from 'node:url'
import { freePort, Program } from '../lib/processes.mjs'

const HOP = fileURLToPath(new URL('./relay-hop.mjs', import.meta.url))
const TLS_HOP = fileURLToPath(new URL('./tls-hop.mjs', import.meta.url))
const HOPS = { forward: 2, reverse: 2, agent: 3 }

/**
 * @param {(port: number, to: number, place: 'first' | 'middle' | 'last') => readonly string[]} hopCommand
 * @returns {import('./subject.mjs').Subject['start']}
 */
const inRow = (hopCommand) => async (mode, wires) => {
  const programs = []
  let to = wires.origin
  for (let hop = HOPS[mode]; hop > 0; hop--) {
    const port = await freePort()
    const place = hop === 1 ? 'first' : hop === HOPS[mode] ? 'last' : 'middle'
    const program = new Program(`relay hop ${hop}`, hopCommand(port, to, place))
    programs.push(program)
    await program.accepts(port)
    // the long way lies between the first two hops
    to = hop === 2 ? await wires.before(port) : port
  }
  return { programs, port: to, socks: false, processes: HOPS[mode] }
}

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
  start: inRow((port, to) => [process.execPath, HOP, `${port}`, `${to}`]),
}

/**
 * The same with TLS between the hops: what any tunnel in Node with TLS is measured by. Each hop dials the next one, where LinkSocks dials
 * the server from both sides; either way all bytes pass one TLS connection, and two in agent mode.
 *
 * @type {import('./subject.mjs').Subject}
 */
export const tlsRelay = {
  ...relay,
  name: 'tlsrelay',
  title: 'plain Node relay over TLS',
  version: `${process.version}, OpenSSL ${process.versions.openssl}`,
  start: inRow((port, to, place) => [process.execPath, TLS_HOP, `${port}`, `${to}`, place]),
}
