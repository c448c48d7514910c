import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, Program } from '../lib/processes.mjs'
import { CA_FILE, CERT_FILE, KEY_FILE } from '../lib/tls-files.mjs'

const PYTHON = 'test/interop/.venv/linksocks-1.10.1/bin/python'
const SHIM = 'test/interop/peers/deployed.py'

/**
 * @typedef {object} Reach How clients reach the server.
 * @property {(port: number) => readonly string[]} listen flags of the server
 * @property {(port: number) => string} url
 * @property {readonly string[]} trust flags of the clients
 */

/** @type {Reach} */
const PLAIN = {
  listen: (port) => ['-H', '127.0.0.1', '-P', `${port}`],
  url: (port) => `ws://127.0.0.1:${port}`,
  trust: [],
}

/** @type {Reach} */
const TLS = {
  listen: (port) => ['--listen', `wss://127.0.0.1:${port}`, '--tls-cert', CERT_FILE, '--tls-key', KEY_FILE],
  url: (port) => `wss://127.0.0.1:${port}`,
  trust: ['--ca-file', CA_FILE],
}

/**
 * The command line is the same whoever wrote the program.
 *
 * @param {readonly string[]} command
 * @param {readonly string[]} serverFlags
 * @param {readonly string[]} clientFlags
 * @param {RegExp} admitted what a client says once the server let it in
 * @param {{ prepare?: (port: number) => Promise<void>, watch?: (port: number) => Program[], reach?: Reach }} [around] prepares the server
 *   with this port before clients come, and starts what looks on at it
 * @returns {import('./subject.mjs').Subject['start']}
 */
export const starter = (command, serverFlags, clientFlags, admitted, around) => async (mode, wires) => {
  const serverPort = await freePort()
  const port = await freePort()
  const { listen, url, trust } = around?.reach ?? PLAIN
  const flags = {
    forward: ['-t', 'F'],
    reverse: ['-r', '-t', 'P', '-p', `${port}`],
    agent: ['-r', '-t', 'P', '-p', `${await freePort()}`, '-c', 'C'],
  }[mode]
  const server = new Program('server', [...command, 'server', ...listen(serverPort), ...flags, ...serverFlags])
  const programs = [server]
  const client = async (/** @type {string} */ name, /** @type {readonly string[]} */ args) => {
    const to = url(await wires.before(serverPort))
    const program = new Program(name, [...command, 'client', '-u', to, ...trust, ...clientFlags, ...args])
    programs.push(program)
    await program.says(admitted)
  }
  try {
    await server.accepts(serverPort)
    await around?.prepare?.(serverPort)
    if (mode !== 'forward') await client('provider', ['-r', '-t', 'P'])
    if (mode !== 'reverse') await client('client', ['-t', mode === 'forward' ? 'F' : 'C', '-p', `${port}`])
    await programs.at(-1)?.accepts(port)
  } catch (error) {
    for (const program of programs) program.kill()
    throw error
  }
  return { programs, onlookers: around?.watch?.(serverPort) ?? [], port, socks: true, processes: programs.length }
}

/**
 * LinkSocks as it is in a folder, with its default options.
 *
 * @param {string} folder a checkout that was built
 * @param {string} name
 * @param {readonly string[]} [flags] of server and clients
 * @returns {import('./subject.mjs').Subject}
 */
export function checkout(folder, name, flags = []) {
  const program = join(folder, 'bin/linksocks.js')
  if (!existsSync(join(folder, 'dist/index.js'))) throw new Error(`${folder} is not built: npm run build`)
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const { stdout } = spawnSync('git', ['-C', folder, 'describe', '--always', '--dirty'], { encoding: 'utf8' })
  return {
    name,
    title: name === 'linksocks' ? 'LinkSocks' : `LinkSocks of ${name}`,
    modes: ['forward', 'reverse', 'agent'],
    version: `${version} ${stdout?.trim() ?? ''}`.trim(),
    udp: true,
    start: starter([process.execPath, program], flags, flags, /link\.up/),
  }
}

/**
 * This checkout, whose clients come by HTTP.
 *
 * @param {string} folder a checkout that was built
 * @returns {import('./subject.mjs').Subject}
 */
export function byHttp(folder) {
  const plain = checkout(folder, 'http')
  return {
    ...plain,
    title: 'LinkSocks by HTTP',
    udp: false,
    start: async (mode, wires) => ({ ...(await plain.start(mode, wires)), http: true }),
  }
}

/**
 * This checkout with TLS on the server, which both ends of each link share.
 *
 * @param {string} folder a checkout that was built
 * @returns {import('./subject.mjs').Subject}
 */
export function byTls(folder) {
  const command = [process.execPath, join(folder, 'bin/linksocks.js')]
  const start = starter(command, [], [], /link\.up/, { reach: TLS })
  return { ...checkout(folder, 'wss'), title: 'LinkSocks over TLS', start }
}

/**
 * This checkout with everything that operators switch on: API, metrics, a data directory, and somebody who looks.
 *
 * @param {string} folder a checkout that was built
 * @param {string} data for the data directory
 * @returns {import('./subject.mjs').Subject}
 */
export function observed(folder, data) {
  const key = 'key-of-the-benchmark'
  const flags = ['--api-key', key, '--metrics-key', `${key}-for-metrics`, '--data-dir', join(data, 'observed')]
  const watch = (/** @type {number} */ port) => [
    new Program('onlooker', [
      process.execPath,
      fileURLToPath(new URL('./onlooker.mjs', import.meta.url)),
      `${port}`,
      key,
    ]),
  ]
  const plain = checkout(folder, 'observed')
  const command = [process.execPath, join(folder, 'bin/linksocks.js')]
  return { ...plain, title: 'LinkSocks, looked at', start: starter(command, flags, [], /link\.up/, { watch }) }
}

/**
 * The LinkSocks that people run: LINKSOCKS_PEER, else the release that the interoperability tests installed.
 *
 * @returns {import('./subject.mjs').Subject | import('./subject.mjs').Missing}
 */
export function deployed() {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const given = process.env.LINKSOCKS_PEER
  const command = given === undefined ? [join(root, PYTHON), join(root, SHIM)] : [given]
  const name = 'deployed'
  if (!existsSync(command[0] ?? '')) {
    return { name, reason: `there is no ${given ?? PYTHON}: run test/interop/install.sh or name it in LINKSOCKS_PEER` }
  }
  return {
    name,
    title: 'deployed LinkSocks',
    modes: ['forward', 'reverse', 'agent'],
    version: given === undefined ? 'PyPI linksocks 1.10.1' : given,
    udp: true,
    // without it, its clients ask public servers for their address
    start: starter(command, [], ['--direct-mode', 'relay-only'], /Authentication successful/),
  }
}
