import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const LINKSOCKS = fileURLToPath(new URL('../../bin/linksocks.js', import.meta.url))
const BUILD = fileURLToPath(new URL('../../dist/index.js', import.meta.url))
/** How long a program may take to do what is waited for. */
const EVENT_TIMEOUT_MS = 15_000
/** How long a program may take to end when asked to. */
const END_TIMEOUT_MS = 5_000
/** Ctrl-C reaches every process of a terminal: a program that ends this shortly before the signal did not fail. */
const SIGNAL_GRACE_MS = 500
/** Lines of a failed program that are shown. */
const SHOWN_LINES = 5

/** Runs `linksocks` programs until Ctrl-C, a SIGTERM or the end of one of them. */
export function startPrograms() {
  return new Programs()
}

class Programs {
  #programs = []
  #stop
  #fail
  #stopping = false
  /** Settles when a signal came; rejects when a program ended by itself. */
  stopped = new Promise((resolve, reject) => {
    this.#stop = resolve
    this.#fail = reject
  })

  constructor() {
    this.stopped.catch(() => {})
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => {
        this.#stopping = true
        this.#stop()
      })
    }
  }

  /** Whether a signal asked for the end. */
  get stopping() {
    return this.#stopping
  }

  /** Starts `linksocks ...args`; tokens go into its environment, where the process list doesn't show them. */
  async start(name, args, env) {
    if (!existsSync(BUILD)) throw new Error('there is no build yet: run npm run build first, or npm run demo')
    if (this.#stopping) throw new Error('stopped')
    const program = new Program(name, args, env)
    this.#programs.push(program)
    void program.ended.then(() => setTimeout(() => this.#fail(program.failure()), SIGNAL_GRACE_MS))
    return { pid: program.pid, event: (event) => Promise.race([program.event(event), this.#interrupted()]) }
  }

  /** Ends what still runs, by process id. */
  async end() {
    this.#stopping = true
    await Promise.all(this.#programs.map((program) => program.end()))
  }

  async #interrupted() {
    await this.stopped
    throw new Error('stopped')
  }
}

/** One process, and the events of its log. */
class Program {
  #name
  #child
  #lines = []
  #events = []
  #waiting = new Map()
  #running = true
  ended

  constructor(name, args, env) {
    this.#name = name
    this.#child = spawn(process.execPath, [LINKSOCKS, ...args, '--log-format', 'json'], {
      env: { ...withoutOwnVariables(process.env), ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.ended = new Promise((resolve) => {
      this.#child.on('error', (error) => this.#lines.push(error.message))
      this.#child.on('close', () => {
        this.#running = false
        resolve()
      })
    })
    createInterface({ input: this.#child.stderr }).on('line', (line) => this.#onLine(line))
  }

  get pid() {
    return this.#child.pid
  }

  /** The first event of this name, whenever it was logged. */
  event(name) {
    const known = this.#events.find(({ event }) => event === name)
    if (known !== undefined) return Promise.resolve(known)
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`the ${this.#name} did not report "${name}" in time${this.#tail()}`))
      const timer = setTimeout(late, EVENT_TIMEOUT_MS)
      this.#waiting.set(name, (fields) => {
        clearTimeout(timer)
        resolve(fields)
      })
    })
  }

  failure() {
    const { exitCode, signalCode } = this.#child
    return new Error(`the ${this.#name} ended (${signalCode ?? `exit code ${exitCode}`})${this.#tail()}`)
  }

  async end() {
    if (!this.#running) return
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_TIMEOUT_MS)
    await this.ended
    clearTimeout(timer)
  }

  #onLine(line) {
    this.#lines.push(line)
    if (this.#lines.length > SHOWN_LINES) this.#lines.shift()
    const fields = parse(line)
    if (typeof fields?.event !== 'string' || this.#events.some(({ event }) => event === fields.event)) return
    this.#events.push(fields)
    this.#waiting.get(fields.event)?.(fields)
  }

  #tail() {
    return this.#lines.length === 0 ? '' : `; its last lines:\n  ${this.#lines.join('\n  ')}`
  }
}

/** Settings of another LinkSocks on this machine are not meant for the demo. */
function withoutOwnVariables(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('LINKSOCKS_')))
}

function parse(line) {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
