import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, Program } from './processes.mjs'

const NATIVE = fileURLToPath(new URL('../native/', import.meta.url))
const FALLBACK = fileURLToPath(new URL('../fallback/', import.meta.url))
const LOAD_FILES = ['load.c', 'bulk.c', 'echo.c', 'conns.c', 'channels.c', 'udp.c', 'copy.c', 'common.c']
const DAEMON_PATHS = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/**
 * Origin and load generator: compiled, or in Node where there is no compiler.
 *
 * @typedef {{ kind: 'C' | 'Node', load: readonly string[], origin: readonly string[] }} Tools
 */

/** Where a program is, or `undefined`. A path stands for itself. */
export function programPath(/** @type {string} */ program) {
  const paths = [...(process.env.PATH ?? '').split(delimiter), ...DAEMON_PATHS].map((at) => join(at, program))
  return (program.includes('/') ? [program] : paths).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/**
 * @param {string} folder where the programs are put
 * @param {boolean} plainNode whether to do without the compiler
 * @returns {Tools}
 */
export function prepareTools(folder, plainNode) {
  const node = (/** @type {string} */ name) => [process.execPath, join(FALLBACK, `${name}.mjs`)]
  const tools = { kind: /** @type {const} */ ('Node'), load: node('load'), origin: node('origin') }
  if (plainNode || programPath('cc') === undefined) return tools
  const build = (/** @type {string} */ name, /** @type {readonly string[]} */ files) => {
    const output = join(folder, name)
    const sources = files.map((file) => join(NATIVE, file))
    const { status, stderr } = spawnSync('cc', ['-O2', '-pthread', '-o', output, ...sources], { encoding: 'utf8' })
    if (status !== 0) process.stderr.write(`cc failed, Node makes the load instead: ${stderr}\n`)
    return status === 0 ? [output] : undefined
  }
  const load = build('load', LOAD_FILES)
  const origin = build('origin', ['origin.c', 'common.c'])
  return load && origin ? { kind: 'C', load, origin } : tools
}

/** Starts the destination of all traffic. */
export async function startOrigin(/** @type {Tools} */ tools) {
  const port = await freePort()
  const program = new Program('origin', [...tools.origin, `port=${port}`])
  await program.accepts(port)
  return { port, program }
}

/**
 * Runs a scenario of the load generator.
 *
 * @param {Tools} tools
 * @param {string} scenario
 * @param {Readonly<Record<string, number>>} options
 * @param {number} limitMs it is ended then
 * @param {() => Promise<void>} [whileHeld] runs once it has printed its first line; its standard input ends afterwards
 * @returns {Promise<any>} what it printed last
 */
export async function runLoad(tools, scenario, options, limitMs, whileHeld) {
  const args = Object.entries(options).map(([name, value]) => `${name}=${Math.round(value)}`)
  const [program = '', ...first] = tools.load
  const child = spawn(program, [...first, scenario, ...args], {
    stdio: [whileHeld ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  let late = false
  const timer = setTimeout(() => {
    late = true
    kill()
  }, limitMs)
  let output = ''
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    errors += text
  })
  const held = new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      const first = !output.includes('\n')
      output += text
      if (first && output.includes('\n') && whileHeld) whileHeld().then(resolve, reject)
    })
    child.on('close', () => resolve())
  }).finally(() => child.stdin?.end())
  const closed = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  try {
    const [code] = await Promise.all([closed, held])
    if (late) throw new Error(`no end after ${limitMs / 1_000} s`)
    if (code !== 0) throw new Error(errors.trim() || `load generator ended with ${code}`)
    return JSON.parse(output.trim().split('\n').at(-1) ?? '')
  } finally {
    clearTimeout(timer)
    process.off('exit', kill)
  }
}
