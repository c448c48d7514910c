import { spawn } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a program wrote last is kept, for the report of its failure. */
const TAIL = 2_000
const START_MS = 20_000
const END_MS = 3_000

/** @type {Set<Program>} */
const running = new Set()
process.on('exit', () => {
  for (const program of running) program.kill()
})

/** A program that was started here, ended by its process id. */
export class Program {
  #child
  /** @type {Promise<void>} */
  #closed
  #tail = ''
  #ending = false
  /** @type {string | undefined} */
  #died

  /**
   * @param {string} name
   * @param {readonly string[]} command
   * @param {Readonly<Record<string, string>>} [env]
   */
  constructor(name, command, env = {}) {
    this.name = name
    this.#child = spawn(command[0] ?? '', command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    running.add(this)
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      output.setEncoding('utf8').on('data', (text) => {
        this.#tail = (this.#tail + text).slice(-TAIL)
      })
    }
    this.#closed = new Promise((resolve) => {
      this.#child.on('error', (error) => this.#end(`did not start: ${error.message}`, resolve))
      this.#child.on('exit', (code, signal) => this.#end(`ended with ${code ?? signal}`, resolve))
    })
  }

  get pid() {
    return this.#child.pid ?? 0
  }

  /** How it ended, if nobody asked it to. */
  get died() {
    return this.#died
  }

  get tail() {
    return this.#tail
  }

  /** Waits until it has written what matches. */
  async says(/** @type {RegExp} */ pattern) {
    await this.#until(() => pattern.test(this.#tail), `saying ${pattern}`)
  }

  /** Waits until something accepts connections at a port. */
  async accepts(/** @type {number} */ port) {
    await this.#until(() => canConnect(port), `listening at ${port}`)
  }

  kill(/** @type {NodeJS.Signals} */ signal = 'SIGKILL') {
    this.#ending = true
    this.#child.kill(signal)
  }

  async end() {
    this.kill('SIGTERM')
    const timer = setTimeout(() => this.kill(), END_MS)
    await this.#closed
    clearTimeout(timer)
  }

  #end(/** @type {string} */ how, /** @type {() => void} */ resolve) {
    running.delete(this)
    if (!this.#ending) this.#died = `${this.name} ${how}: ${this.#tail.trim().slice(-300)}`
    resolve()
  }

  async #until(/** @type {() => boolean | Promise<boolean>} */ holds, /** @type {string} */ what) {
    for (const limit = Date.now() + START_MS; !(await holds()); await sleep(5)) {
      if (this.#died !== undefined) throw new Error(this.#died)
      if (Date.now() > limit) throw new Error(`${this.name} is not ${what} after ${START_MS / 1_000} s: ${this.#tail}`)
    }
  }
}

function canConnect(/** @type {number} */ port) {
  return new Promise((/** @type {(yes: boolean) => void} */ resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => resolve(false))
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

/** A port of loopback that nobody listens at, below those that outgoing connections are given. */
export async function freePort() {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 18_000)
    const server = createServer()
    const free = await new Promise((resolve) => {
      server.on('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!free) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}
