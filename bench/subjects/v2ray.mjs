import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, Program } from '../lib/processes.mjs'
import { programPath } from '../lib/tools.mjs'

const ID = 'b831381d-6324-4d53-ad4f-8cda48b30811'
const OVER_WEBSOCKET = { network: 'ws', wsSettings: { path: '/tunnel' } }

const server = (/** @type {number} */ port) => ({
  log: { loglevel: 'warning' },
  inbounds: [
    {
      listen: '127.0.0.1',
      port,
      protocol: 'vless',
      settings: { clients: [{ id: ID }], decryption: 'none' },
      streamSettings: OVER_WEBSOCKET,
    },
  ],
  outbounds: [{ protocol: 'freedom' }],
})

const client = (/** @type {number} */ port, /** @type {number} */ serverPort) => ({
  log: { loglevel: 'warning' },
  inbounds: [
    { listen: '127.0.0.1', port, protocol: 'socks', settings: { auth: 'noauth', udp: true, ip: '127.0.0.1' } },
  ],
  outbounds: [
    {
      protocol: 'vless',
      settings: { vnext: [{ address: '127.0.0.1', port: serverPort, users: [{ id: ID, encryption: 'none' }] }] },
      streamSettings: OVER_WEBSOCKET,
    },
  ],
})

/**
 * v2ray with VLESS, its protocol without encryption, over WebSocket: a connection to the server for each stream.
 *
 * @param {string} folder for its configuration
 * @returns {import('./subject.mjs').Subject | import('./subject.mjs').Missing}
 */
export function v2ray(folder) {
  const program = programPath(process.env.V2RAY ?? 'v2ray')
  if (program === undefined) return { name: 'v2ray', reason: 'v2ray is not installed, and V2RAY= names none' }
  const named = versionOf(program, 'version')
  /** Since version 5 what it does is a command. */
  const run = named === undefined ? [] : ['run']
  const start = async (/** @type {string} */ role, /** @type {object} */ config, /** @type {number} */ port) => {
    const file = join(folder, `v2ray-${role}-${port}.json`)
    writeFileSync(file, JSON.stringify(config))
    const running = new Program(`v2ray ${role}`, [program, ...run, '-config', file])
    await running.accepts(port)
    return running
  }
  return {
    name: 'v2ray',
    title: 'v2ray, VLESS over WebSocket',
    modes: ['forward'],
    version: named ?? versionOf(program, '-version') ?? '',
    udp: true,
    async start(_mode, wires) {
      const serverPort = await freePort()
      const port = await freePort()
      const far = await start('server', server(serverPort), serverPort)
      const near = await start('client', client(port, await wires.before(serverPort)), port)
      return { programs: [far, near], port, socks: true, processes: 2 }
    },
  }
}

/**
 * @param {string} program
 * @param {string} how what asks for the version
 * @returns {string | undefined}
 */
function versionOf(program, how) {
  const { status, stdout } = spawnSync(program, [how], { encoding: 'utf8' })
  return status === 0 ? stdout.split(' ').slice(0, 2).join(' ') : undefined
}
