/**
 * @typedef {'forward' | 'reverse' | 'agent'} Mode
 *
 * @typedef {object} Wires What leads to where.
 * @property {number} origin the port that the load wants to reach
 * @property {(port: number) => Promise<number>} before a port that leads to this one, over the long way if the scenario has one
 *
 * @typedef {object} Tunnel
 * @property {readonly import('../lib/processes.mjs').Program[]} programs
 * @property {readonly import('../lib/processes.mjs').Program[]} [onlookers] run beside it, and count for nothing
 * @property {number} port where the load enters
 * @property {boolean} socks whether that is a proxy port; else it leads to the origin
 * @property {boolean} [http] whether the load comes by CONNECT of HTTP instead of SOCKS5
 * @property {number} processes how many the traffic passes: what a figure per process is divided by
 *
 * @typedef {object} Subject Something that is measured.
 * @property {string} name
 * @property {string} title
 * @property {readonly Mode[]} modes
 * @property {string} version
 * @property {boolean} [udp] whether its SOCKS5 port carries UDP
 * @property {(mode: Mode, wires: Wires) => Promise<Tunnel>} start
 * @property {() => void} [dispose]
 *
 * @typedef {{ name: string, reason: string }} Missing
 */
export {}
