import { type ChildProcess, spawn } from 'node:child_process'
import { ROOT } from '../project/support.js'
import { within } from '../support/wait.js'

/** How long a process may take to end others that it has started. */
const LENIENCE_MS = 5_000

/** A process under test; `end()` belongs into a `finally`. */
export class TestProcess {
  readonly #child: ChildProcess
  readonly #exit: Promise<number | null>
  #output = ''
  readonly #watchers: (() => void)[] = []
  #gone = false

  constructor(program: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv; cwd?: string } = {}) {
    this.#child = spawn(program, [...args], { cwd: ROOT, ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
        this.#wake()
      })
    }
    this.#exit = new Promise((resolve, reject) => {
      this.#child.on('error', reject)
      this.#child.on('close', (code) => {
        this.#gone = true
        resolve(code)
        this.#wake()
      })
    })
    this.#exit.catch(() => {})
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Standard output and error, as they came. */
  get output(): string {
    return this.#output
  }

  /** What `pattern` matched, as soon as it does. */
  async match(pattern: RegExp): Promise<RegExpExecArray> {
    const what = (): string => `${pattern}; there is:\n${this.#output}`
    const wait = async (): Promise<RegExpExecArray> => {
      for (;;) {
        const found = pattern.exec(this.#output)
        if (found !== null) return found
        if (this.#gone) throw new Error(`ended without ${what()}`)
        await new Promise<void>((resolve) => this.#watchers.push(resolve))
      }
    }
    return await within(wait(), what)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** The exit code; a signal that ended it is an error. */
  async exit(): Promise<number> {
    const code = await within(this.#exit, () => `exit; there is:\n${this.#output}`)
    if (code === null) throw new Error(`ended by ${this.#child.signalCode}:\n${this.#output}`)
    return code
  }

  /** Ends it, by force where a test has failed and it does not end by itself. */
  async end(): Promise<void> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), LENIENCE_MS)
    await this.#exit.catch(() => {})
    clearTimeout(timer)
  }

  #wake(): void {
    for (const watcher of this.#watchers.splice(0)) watcher()
  }
}

/** Whether a process of this id is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
